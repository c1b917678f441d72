/** Signing in, by password or by the organisation's own sign-in where it is set up. */
import { Alert, Anchor, Button, Container, Paper, PasswordInput, Stack, Text, TextInput, Title } from "@mantine/core"
import { useForm } from "@mantine/form"
import { useDocumentTitle } from "@mantine/hooks"
import { useMutation } from "@tanstack/react-query"
import { useNavigate, useSearch } from "@tanstack/react-router"
import { SignInElsewhere } from "../parts/sign-in-elsewhere.tsx"
import { forgetEverything, waybill } from "../waybill.ts"

export function SignIn() {
  useDocumentTitle("Sign in · Waybill")
  const { next = "/", error } = useSearch({ from: "/sign-in" })
  const navigate = useNavigate()
  const form = useForm({ initialValues: { email: "", password: "" } })
  const signIn = useMutation({
    mutationFn: (body: { email: string; password: string }) => waybill.POST("/v1/session", { body }),
    onSuccess: async () => {
      await forgetEverything()
      await navigate({ href: next.startsWith("/") && !next.startsWith("//") ? next : "/" })
    },
  })
  return (
    <Container size={420} py={80} component="main">
      <Stack gap="lg">
        <Stack gap={4} align="center">
          <img src="/favicon.svg" alt="" width={44} height={44} />
          <Title order={1} size="h2">
            Sign in to Waybill
          </Title>
        </Stack>
        <Paper withBorder p="lg" radius="md">
          <form onSubmit={form.onSubmit(values => signIn.mutate(values))}>
            <Stack>
              {(signIn.error ?? error) && (
                <Alert color="red" role="alert">
                  {signIn.error?.message ?? error}
                </Alert>
              )}
              <TextInput
                label="E-mail"
                type="email"
                autoComplete="username"
                required
                withAsterisk={false}
                {...form.getInputProps("email")}
              />
              <PasswordInput
                label="Password"
                autoComplete="current-password"
                required
                withAsterisk={false}
                {...form.getInputProps("password")}
              />
              <Button type="submit" loading={signIn.isPending} fullWidth>
                Sign in
              </Button>
            </Stack>
          </form>
          <SignInElsewhere />
        </Paper>
        <Text size="sm" c="dimmed" ta="center">
          No account yet? Ask an owner of your project for an invitation. On a new Waybill, use the set-up link that it
          printed when it first started. <Anchor href="/openapi.json">The API</Anchor> needs a key, not an account.
        </Text>
      </Stack>
    </Container>
  )
}
