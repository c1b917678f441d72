/** The page of an invitation's link: brings somebody into a project. */
import {
  Alert,
  Anchor,
  Button,
  Container,
  Paper,
  PasswordInput,
  SegmentedControl,
  Stack,
  Text,
  TextInput,
  Title,
} from "@mantine/core"
import { useForm } from "@mantine/form"
import { useDocumentTitle } from "@mantine/hooks"
import { useMutation } from "@tanstack/react-query"
import { Link, useNavigate, useSearch } from "@tanstack/react-router"
import { useState } from "react"
import { faultsOfFields } from "../parts/faults.ts"
import { SignInElsewhere } from "../parts/sign-in-elsewhere.tsx"
import { forgetEverything, waybill } from "../waybill.ts"

const LEAST_CHARACTERS = 12

export function Invitation() {
  useDocumentTitle("Invitation · Waybill")
  const { token = "" } = useSearch({ from: "/invitation" })
  const navigate = useNavigate()
  const [who, setWho] = useState<"new" | "known">("new")
  const form = useForm({
    initialValues: { name: "", password: "" },
    validate: {
      password: text =>
        who === "new" && text.length < LEAST_CHARACTERS
          ? `At least ${LEAST_CHARACTERS} characters; any will do, long beats odd.`
          : null,
    },
  })
  const accept = useMutation({
    mutationFn: ({ name, password }: typeof form.values) =>
      waybill.POST("/v1/invitations/accept", { body: { token, password, ...(who === "new" && { name }) } }),
    onSuccess: async () => {
      await forgetEverything()
      await navigate({ to: "/" })
    },
    onError: error => form.setErrors(faultsOfFields(error)),
  })
  return (
    <Container size={460} py={64} component="main">
      <Stack gap="lg">
        <Stack gap={4} align="center" ta="center">
          <img src="/favicon.svg" alt="" width={44} height={44} />
          <Title order={1} size="h2">
            Join a project on Waybill
          </Title>
          <Text c="dimmed" size="sm">
            Somebody has invited you. The link works once, for seven days.
          </Text>
        </Stack>
        <Paper withBorder p="lg">
          <Stack>
            <SegmentedControl
              fullWidth
              value={who}
              onChange={value => setWho(value === "known" ? "known" : "new")}
              data={[
                { value: "new", label: "I am new here" },
                { value: "known", label: "I have an account" },
              ]}
              aria-label="Whether you have an account on this Waybill"
            />
            <form onSubmit={form.onSubmit(values => accept.mutate(values))}>
              <Stack>
                {token === "" && (
                  <Alert color="red" role="alert">
                    This address lacks its token. Copy the whole link of the invitation, or ask for a new one.
                  </Alert>
                )}
                {accept.error !== null && (
                  <Alert color="red" role="alert">
                    {accept.error.message}
                  </Alert>
                )}
                {who === "new" && (
                  <TextInput
                    label="Your name"
                    autoComplete="name"
                    required
                    withAsterisk={false}
                    {...form.getInputProps("name")}
                  />
                )}
                <PasswordInput
                  label="Password"
                  description={who === "new" ? `At least ${LEAST_CHARACTERS} characters.` : "That of your account."}
                  autoComplete={who === "new" ? "new-password" : "current-password"}
                  required
                  withAsterisk={false}
                  {...form.getInputProps("password")}
                />
                <Button type="submit" loading={accept.isPending} disabled={token === ""} fullWidth>
                  Join the project
                </Button>
              </Stack>
            </form>
            <SignInElsewhere />
          </Stack>
        </Paper>
        <Text size="sm" c="dimmed" ta="center">
          You have joined already?{" "}
          <Anchor component={Link} to="/sign-in">
            Sign in
          </Anchor>
          .
        </Text>
      </Stack>
    </Container>
  )
}
