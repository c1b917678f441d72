/** What stands around the pages of a portal: the owner's name and colour, the app, and a sentence in place of all when its time is over. */
import { Box, Button, Container, Group, Skeleton, Stack, Text, Title } from "@mantine/core"
import { IconActivity, IconHourglassEmpty, IconPlug } from "@tabler/icons-react"
import { useQuery } from "@tanstack/react-query"
import { Link, Navigate, Outlet, useRouterState } from "@tanstack/react-router"
import { useEffect } from "react"
import { useMay } from "./parts/access.tsx"
import { Empty, Trouble } from "./parts/page.tsx"
import { portal, portalRoutes } from "./portal.ts"
import { textOn, wear } from "./portal-colour.ts"
import classes from "./portal-shell.module.css"
import { queries, sessionQuery, shownPortalQuery } from "./waybill.ts"

/** So long before its end the site that frames it is asked for another token; half of its life where that is less. */
const ASKED_BEFORE_MS = 60_000

const places = [
  { to: "/events", label: "Events", icon: IconActivity, scope: "events:read" },
  { to: "/integrations", label: "Integrations", icon: IconPlug, scope: "integrations:read" },
] as const

export function PortalShell() {
  const { data: session, error, refetch } = useQuery(sessionQuery)
  const { data: shown } = useQuery({ ...shownPortalQuery, enabled: false })
  useTime(shown?.expires_at, session === null)
  useEffect(() => {
    if (shown?.color != null) wear(shown.color)
    document.title = shown?.name ?? "Events"
  }, [shown])
  return (
    <>
      <a href="#content" className="skip-link">
        Skip to the content
      </a>
      {shown !== undefined && <Band name={shown.name} color={shown.color} app={shown.app.title ?? shown.app.name} />}
      <Container
        component="main"
        id="content"
        // The site that frames it has a main part of its own.
        aria-label={shown === undefined ? "Events and integrations" : `Events and integrations: ${shown.name}`}
        tabIndex={-1}
        size={1400}
        px={{ base: "sm", sm: "lg" }}
        py="lg"
      >
        {session === undefined ? (
          error === null ? (
            <Skeleton height={220} role="status" aria-label="Loading" />
          ) : (
            <Trouble error={error} again={() => void refetch()} />
          )
        ) : session === null ? (
          <Over name={shown?.name} />
        ) : (
          <Opened />
        )}
      </Container>
    </>
  )
}

/** The owner's name in the owner's colour, and where one can go. */
function Band({ name, color, app }: { readonly name: string; readonly color: string | null; readonly app: string }) {
  const may = useMay()
  const path = useRouterState({ select: state => state.location.pathname })
  const shown = places.filter(({ scope }) => may(scope))
  const own = color === null ? {} : { backgroundColor: color, color: textOn(color) }
  return (
    <Box component="header" className={classes["band"]} style={own}>
      <Container size={1400} px={{ base: "sm", sm: "lg" }}>
        <Group justify="space-between" gap="xs" mih={56} py={6}>
          <Group gap="xs">
            <Text fw={700} className="wrap-anywhere">
              {name}
            </Text>
            <Text size="sm" className="wrap-anywhere">
              {app}
            </Text>
          </Group>
          {shown.length > 1 && (
            <Group component="nav" gap="xs" aria-label="Pages">
              {shown.map(({ to, label, icon: Icon }) => (
                <Link
                  key={to}
                  to={to}
                  className={classes["place"] ?? ""}
                  {...(path.startsWith(to) && { "aria-current": "page" as const })}
                >
                  <Icon size={18} stroke={1.7} aria-hidden />
                  {label}
                </Link>
              ))}
            </Group>
          )}
        </Group>
      </Container>
    </Box>
  )
}

/** A page of the portal; for every other address a sentence. */
function Opened() {
  const may = useMay()
  const here = useRouterState({ select: state => state.matches.at(-1)?.routeId })
  const [first] = places.filter(({ scope }) => may(scope))
  if (first === undefined) {
    return (
      <Empty title="Nothing to see yet">
        This view was opened without anything to show. Ask whoever gave it to you.
      </Empty>
    )
  }
  if (here === "/signed-in/") return <Navigate to={first.to} replace />
  if (here !== undefined && portalRoutes.includes(here)) return <Outlet />
  return (
    <Empty title="This address leads nowhere">
      <Button component={Link} to={first.to} variant="default" mt="xs">
        {first.label}
      </Button>
    </Empty>
  )
}

/** Its time is over. Nothing is wrong, and nothing is lost. */
function Over({ name }: { readonly name: string | undefined }) {
  return (
    <Stack gap="xs" align="center" py={64} px="md" ta="center" role="status">
      <IconHourglassEmpty size={34} stroke={1.4} aria-hidden />
      <Title order={1} size="h4">
        This view has ended
      </Title>
      <Text size="sm" c="dimmed" maw={520}>
        It is open for a while at a time, to keep what it shows yours alone. Nothing is wrong and nothing is lost:
        reload the page
        {name === undefined ? " that you opened it from" : ` of ${name} that it belongs to`}, and it goes on.
      </Text>
    </Stack>
  )
}

/** Asks for another token before this one is over, and says when it is; takes the one that comes. */
function useTime(expiresAt: string | undefined, isOver: boolean): void {
  useEffect(
    () =>
      portal?.onToken(() => {
        void queries.fetchQuery({ ...shownPortalQuery, staleTime: 0 }).then(
          () => queries.invalidateQueries(),
          // It is none that opens anything: what is shown stays as it is.
          () => undefined,
        )
      }),
    [],
  )
  useEffect(() => {
    if (isOver) portal?.tell("waybill:token-expired")
  }, [isOver])
  useEffect(() => {
    if (expiresAt === undefined || isOver) return
    const left = Date.parse(expiresAt) - Date.now()
    const soon = setTimeout(
      () => portal?.tell("waybill:token-expiring"),
      Math.max(0, left - Math.min(ASKED_BEFORE_MS, left / 2)),
    )
    const end = setTimeout(
      () => void queries.invalidateQueries({ queryKey: sessionQuery.queryKey }),
      Math.max(0, left) + 500,
    )
    return () => {
      clearTimeout(soon)
      clearTimeout(end)
    }
  }, [expiresAt, isOver])
}
