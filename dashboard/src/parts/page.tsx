/** A page: its title, what can be done on it, and what it shows while it loads, when it cannot, and when it is empty. */
import { Alert, Button, Code, Group, Skeleton, Stack, Text, Title } from "@mantine/core"
import { useDocumentTitle } from "@mantine/hooks"
import { IconAlertTriangle, IconLock, IconPlugConnectedX, IconSearchOff } from "@tabler/icons-react"
import type { UseQueryResult } from "@tanstack/react-query"
import type { ReactNode } from "react"
import { WaybillProblem } from "waybill-sdk"
import { portal } from "../portal.ts"
import { Sentence } from "./sentence.tsx"

export function Page({
  title,
  lead,
  actions,
  children,
}: {
  readonly title: string
  /** A sentence below the title. */
  readonly lead?: ReactNode
  readonly actions?: ReactNode
  readonly children: ReactNode
}) {
  useDocumentTitle(portal === null ? `${title} · Waybill` : title)
  return (
    <Stack gap="lg">
      <Group justify="space-between" align="flex-start" gap="sm">
        <Stack gap={2} maw={720}>
          <Title order={1} size="h2" className="wrap-anywhere">
            {title}
          </Title>
          {lead !== undefined && (
            <Text c="dimmed" size="sm" component="div">
              {lead}
            </Text>
          )}
        </Stack>
        {actions !== undefined && <Group gap="xs">{actions}</Group>}
      </Group>
      {children}
    </Stack>
  )
}

/** What a query came to: its data through `children`, or what stands in its place. */
export function Answered<T>({
  query,
  loading,
  children,
}: {
  readonly query: UseQueryResult<T>
  /** Has the form of what comes; three lines where it is left out. */
  readonly loading?: ReactNode
  readonly children: (data: T) => ReactNode
}) {
  if (query.data !== undefined) {
    return (
      <>
        {query.error !== null && <Trouble error={query.error} again={() => void query.refetch()} isStale />}
        {children(query.data)}
      </>
    )
  }
  if (query.error !== null) return <Trouble error={query.error} again={() => void query.refetch()} />
  return <div aria-busy="true">{loading ?? <Lines count={3} />}</div>
}

export function Lines({ count, height = 22 }: { readonly count: number; readonly height?: number }) {
  return (
    <Stack gap="xs" role="status" aria-label="Loading">
      {Array.from({ length: count }, (_, i) => `line ${i}`).map(key => (
        <Skeleton key={key} height={height} />
      ))}
    </Stack>
  )
}

/** What else helps on a page, by status. */
const remedies = {
  0: "See whether you are online, and whether this address is that of a Waybill that runs. This page goes on by itself.",
  403: "Ask an owner or admin of the project for a role that may.",
  404: "The link may be old, or be one of another project: choose the project at the top of the page. Events and what became of them are kept for 30 days.",
} as const

/** A problem in words that say what to do. */
export function Trouble({
  error,
  again,
  isStale = false,
}: {
  readonly error: Error
  readonly again?: () => void
  /** There is something to show all the same, from before. */
  readonly isStale?: boolean
}) {
  const problem = error instanceof WaybillProblem ? error : undefined
  const [title, icon] =
    problem?.status === 0
      ? ["No connection to Waybill", <IconPlugConnectedX key="i" size={18} />]
      : problem?.status === 403
        ? [
            portal === null ? "Your role does not allow this" : "This view does not show it",
            <IconLock key="i" size={18} />,
          ]
        : problem?.status === 404
          ? ["Not found", <IconSearchOff key="i" size={18} />]
          : [problem?.title ?? "Something went wrong on this page", <IconAlertTriangle key="i" size={18} />]
  return (
    <Alert variant={isStale ? "default" : "light"} color="red" title={title} icon={icon} role="alert">
      <Stack gap="xs" align="flex-start">
        <Text size="sm">
          <Sentence text={error.message} />
        </Text>
        {portal === null && problem !== undefined && problem.status in remedies && (
          <Text size="sm">{remedies[problem.status as keyof typeof remedies]}</Text>
        )}
        {isStale && <Text size="sm">What stands below is from before.</Text>}
        {problem?.errors.flatMap(({ pointer, message }) =>
          // A single one is the sentence above.
          message === error.message
            ? []
            : [
                <Text size="sm" key={pointer}>
                  <Code>{pointer}</Code> <Sentence text={message} />
                </Text>,
              ],
        )}
        {problem?.request !== undefined && (
          <Text size="xs" c="dimmed">
            Request {problem.request}
          </Text>
        )}
        {again !== undefined && (
          <Button size="xs" variant="default" onClick={again}>
            Try again
          </Button>
        )}
      </Stack>
    </Alert>
  )
}

/** Nothing is there, and what to do about it. */
export function Empty({ title, children }: { readonly title: string; readonly children?: ReactNode }) {
  return (
    <Stack gap="xs" align="center" py={48} px="md" ta="center" data-empty>
      <IconSearchOff size={34} stroke={1.4} aria-hidden />
      <Text fw={650}>{title}</Text>
      <Text size="sm" c="dimmed" maw={560} component="div">
        {children}
      </Text>
    </Stack>
  )
}
