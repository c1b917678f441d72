/** A new password for whoever has forgotten theirs: asks for a link by mail, and takes the new one at the link's address. */
import { Alert, Anchor, Button, Stack } from "@mantine/core"
import { useForm } from "@mantine/form"
import { useMutation, useQuery } from "@tanstack/react-query"
import { Link, useSearch } from "@tanstack/react-router"
import { given } from "waybill-sdk"
import { EmailInput, EntryFault, EntryPage, faultOfPassword, SecretInput } from "../parts/entry.tsx"
import { faultsOfFields } from "../parts/faults.ts"
import { signInQuery } from "../parts/sign-in-elsewhere.tsx"
import { waybill } from "../waybill.ts"

export function PasswordReset() {
  const { token } = useSearch({ from: "/password-reset" })
  return token === undefined ? <AskForLink /> : <Choose token={token} />
}

const backToSignIn = (
  <Anchor component={Link} to="/sign-in">
    Sign in
  </Anchor>
)

function AskForLink() {
  const { data: ways } = useQuery(signInQuery)
  const form = useForm({ initialValues: { email: "" } })
  const ask = useMutation({
    mutationFn: (body: { email: string }) => given(waybill.POST("/v1/password-resets", { body })),
    onError: error => form.setErrors(faultsOfFields(error)),
  })
  return (
    <EntryPage
      name="New password"
      title="A new password"
      lead="We mail you a link to choose one."
      below={<>You know it again? {backToSignIn}.</>}
    >
      {ways?.password_reset === false ? (
        <Alert color="yellow">
          This Waybill sends no mail. Ask whoever runs it to let you in again: <code>waybill people reset</code>.
        </Alert>
      ) : ask.data !== undefined ? (
        <Alert color="green" role="status">
          {ask.data.message}
        </Alert>
      ) : (
        <form onSubmit={form.onSubmit(values => ask.mutate(values))}>
          <Stack>
            <EntryFault>{ask.error?.message}</EntryFault>
            <EmailInput {...form.getInputProps("email")} />
            <Button type="submit" loading={ask.isPending} fullWidth>
              Mail me a link
            </Button>
          </Stack>
        </form>
      )}
    </EntryPage>
  )
}

function Choose({ token }: { readonly token: string }) {
  const form = useForm({ initialValues: { new_password: "" }, validate: { new_password: faultOfPassword } })
  const choose = useMutation({
    mutationFn: ({ new_password }: typeof form.values) =>
      waybill.POST("/v1/password-resets/use", { body: { token, new_password } }),
    onError: error => form.setErrors(faultsOfFields(error)),
  })
  if (choose.isSuccess) {
    return (
      <EntryPage name="New password" title="Your new password holds">
        <Alert color="green" role="status">
          Wherever you were signed in, you are signed out now. {backToSignIn} with the new password.
        </Alert>
      </EntryPage>
    )
  }
  return (
    <EntryPage
      name="New password"
      title="Choose a new password"
      lead="The link works once, for 30 minutes. It signs you out wherever you are signed in."
      below={
        <>
          The link is too old?{" "}
          <Anchor component={Link} to="/password-reset">
            Ask for a new one
          </Anchor>
          .
        </>
      }
    >
      <form onSubmit={form.onSubmit(values => choose.mutate(values))}>
        <Stack>
          <EntryFault>{choose.error?.message}</EntryFault>
          <SecretInput isNew {...form.getInputProps("new_password")} label="New password" />
          <Button type="submit" loading={choose.isPending} fullWidth>
            Set the new password
          </Button>
        </Stack>
      </form>
    </EntryPage>
  )
}
