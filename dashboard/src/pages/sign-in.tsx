/** Signing in, by password or by the organisation's own sign-in where it is set up. */
import { Anchor, Button, Stack } from "@mantine/core"
import { useForm } from "@mantine/form"
import { useMutation, useQuery } from "@tanstack/react-query"
import { Link, useSearch } from "@tanstack/react-router"
import { EmailInput, EntryFault, EntryPage, SecretInput, useEnter } from "../parts/entry.tsx"
import { SignInElsewhere, signInQuery } from "../parts/sign-in-elsewhere.tsx"
import { waybill } from "../waybill.ts"

export function SignIn() {
  const { next = "/", error } = useSearch({ from: "/sign-in" })
  const { data: ways } = useQuery(signInQuery)
  // The address holds a code alone; whatever else stands there is not shown.
  const fault = ways?.faults.find(({ code }) => code === error)?.message
  const enter = useEnter()
  const form = useForm({ initialValues: { email: "", password: "" } })
  const signIn = useMutation({
    mutationFn: (body: { email: string; password: string }) => waybill.POST("/v1/session", { body }),
    onSuccess: () => enter(next.startsWith("/") && !next.startsWith("//") ? next : "/"),
  })
  return (
    <EntryPage
      name="Sign in"
      title="Sign in to Waybill"
      below={
        <>
          No account yet? Ask an owner of your project for an invitation. On a new Waybill, use the set-up link that it
          printed when it first started. <Anchor href="/openapi.json">The API</Anchor> needs a key, not an account.
        </>
      }
    >
      <form onSubmit={form.onSubmit(values => signIn.mutate(values))}>
        <Stack>
          <EntryFault>{signIn.error?.message ?? fault}</EntryFault>
          <EmailInput {...form.getInputProps("email")} />
          <SecretInput isNew={false} {...form.getInputProps("password")} />
          <Button type="submit" loading={signIn.isPending} fullWidth>
            Sign in
          </Button>
          <Anchor component={Link} to="/password-reset" size="sm" ta="center">
            Forgot your password?
          </Anchor>
        </Stack>
      </form>
      <SignInElsewhere />
    </EntryPage>
  )
}
