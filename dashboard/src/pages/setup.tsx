/** The set-up link's page: makes the first owner, on a Waybill that nobody has signed in to yet. */
import { Alert, Button, Container, Paper, PasswordInput, Stack, Text, TextInput, Title } from "@mantine/core"
import { useForm } from "@mantine/form"
import { useDocumentTitle } from "@mantine/hooks"
import { useMutation } from "@tanstack/react-query"
import { useNavigate, useSearch } from "@tanstack/react-router"
import { forgetEverything, waybill } from "../waybill.ts"

const LEAST_CHARACTERS = 12

export function SetUp() {
  useDocumentTitle("Set up · Waybill")
  const { token = "" } = useSearch({ from: "/setup" })
  const navigate = useNavigate()
  const form = useForm({
    initialValues: { name: "", email: "", password: "" },
    validate: {
      password: text =>
        text.length < LEAST_CHARACTERS ? `At least ${LEAST_CHARACTERS} characters; any will do, long beats odd.` : null,
    },
  })
  const setUp = useMutation({
    mutationFn: (who: typeof form.values) => waybill.POST("/v1/setup", { body: { token, ...who } }),
    onSuccess: async () => {
      await forgetEverything()
      await navigate({ to: "/" })
    },
  })
  return (
    <Container size={460} py={64} component="main">
      <Stack gap="lg">
        <Stack gap={4} align="center" ta="center">
          <img src="/favicon.svg" alt="" width={44} height={44} />
          <Title order={1} size="h2">
            Set Waybill up
          </Title>
          <Text c="dimmed" size="sm">
            You become the owner of its first project. Others come in by your invitation.
          </Text>
        </Stack>
        <Paper withBorder p="lg">
          <form onSubmit={form.onSubmit(values => setUp.mutate(values))}>
            <Stack>
              {token === "" && (
                <Alert color="red" role="alert">
                  This address lacks its token. Open the link as it was printed when Waybill first started; who has lost
                  it runs <code>waybill people setup-link</code>.
                </Alert>
              )}
              {setUp.error !== null && (
                <Alert color="red" role="alert">
                  {setUp.error.message}
                </Alert>
              )}
              <TextInput
                label="Your name"
                autoComplete="name"
                required
                withAsterisk={false}
                {...form.getInputProps("name")}
              />
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
                description={`At least ${LEAST_CHARACTERS} characters.`}
                autoComplete="new-password"
                required
                withAsterisk={false}
                {...form.getInputProps("password")}
              />
              <Button type="submit" loading={setUp.isPending} disabled={token === ""} fullWidth>
                Become the owner
              </Button>
            </Stack>
          </form>
        </Paper>
      </Stack>
    </Container>
  )
}
