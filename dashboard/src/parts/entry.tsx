/** What the pages share on which somebody comes in: the sign-in, the set-up and an invitation. */
import {
  Alert,
  Container,
  Paper,
  type PasswordInputProps,
  Stack,
  Text,
  TextInput,
  type TextInputProps,
  Title,
} from "@mantine/core"
import { useDocumentTitle } from "@mantine/hooks"
import { useNavigate } from "@tanstack/react-router"
import type { ReactNode } from "react"
import { forgetEverything } from "../waybill.ts"
import { SecretField } from "./secret-field.tsx"
import { Sentence } from "./sentence.tsx"

/** As the API asks for it. */
const LEAST_CHARACTERS = 12

export function EntryPage({
  name,
  title,
  lead,
  below,
  children,
}: {
  /** In the window's title. */
  readonly name: string
  readonly title: string
  readonly lead?: ReactNode
  readonly below?: ReactNode
  readonly children: ReactNode
}) {
  useDocumentTitle(`${name} · Waybill`)
  return (
    <Container size={460} py={64} component="main">
      <Stack gap="lg">
        <Stack gap={4} align="center" ta="center">
          <img src="/favicon.svg" alt="" width={44} height={44} />
          <Title order={1} size="h2">
            {title}
          </Title>
          {lead !== undefined && (
            <Text c="dimmed" size="sm">
              {lead}
            </Text>
          )}
        </Stack>
        <Paper withBorder p="lg">
          {children}
        </Paper>
        {below !== undefined && (
          <Text size="sm" c="dimmed" ta="center" component="div">
            {below}
          </Text>
        )}
      </Stack>
    </Container>
  )
}

/** Why somebody does not come in; nothing where there is no such thing. */
export function EntryFault({ children }: { readonly children: ReactNode }) {
  if (children === undefined || children === null || children === false) return null
  return (
    <Alert color="red" role="alert">
      {typeof children === "string" ? <Sentence text={children} /> : children}
    </Alert>
  )
}

const must = { required: true, withAsterisk: false } as const

export function NameInput(props: TextInputProps) {
  return <TextInput label="Your name" autoComplete="name" {...must} {...props} />
}

export function EmailInput(props: TextInputProps) {
  return <TextInput label="E-mail" type="email" autoComplete="username" {...must} {...props} />
}

/** A password that is chosen now, or the one that an account has. */
export function SecretInput({ isNew, ...props }: PasswordInputProps & { readonly isNew: boolean }) {
  const given = isNew
    ? ({ description: `At least ${LEAST_CHARACTERS} characters.`, autoComplete: "new-password" } as const)
    : ({ autoComplete: "current-password" } as const)
  return <SecretField label="Password" {...given} {...must} {...props} />
}

/** What is wrong with a new password; null where nothing is. */
export function faultOfPassword(text: string): string | null {
  return text.length < LEAST_CHARACTERS ? `At least ${LEAST_CHARACTERS} characters; any will do, long beats odd.` : null
}

/** Leads on once somebody has come in: what was read before holds no more. */
export function useEnter(): (to: string) => Promise<void> {
  const navigate = useNavigate()
  return async to => {
    await forgetEverything()
    await navigate({ href: to })
  }
}
