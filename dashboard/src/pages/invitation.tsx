/** The page of an invitation's link: brings somebody into a project. */
import { Anchor, Button, SegmentedControl, Stack } from "@mantine/core"
import { useForm } from "@mantine/form"
import { useMutation } from "@tanstack/react-query"
import { Link, useSearch } from "@tanstack/react-router"
import { useState } from "react"
import { EntryFault, EntryPage, faultOfPassword, NameInput, SecretInput, useEnter } from "../parts/entry.tsx"
import { faultsOfFields } from "../parts/faults.ts"
import { SignInElsewhere } from "../parts/sign-in-elsewhere.tsx"
import { waybill } from "../waybill.ts"

export function Invitation() {
  const { token = "" } = useSearch({ from: "/invitation" })
  const enter = useEnter()
  const [who, setWho] = useState<"new" | "known">("new")
  const form = useForm({
    initialValues: { name: "", password: "" },
    validate: { password: text => (who === "new" ? faultOfPassword(text) : null) },
  })
  const accept = useMutation({
    mutationFn: ({ name, password }: typeof form.values) =>
      waybill.POST("/v1/invitations/accept", { body: { token, password, ...(who === "new" && { name }) } }),
    onSuccess: () => enter("/"),
    onError: error => form.setErrors(faultsOfFields(error)),
  })
  return (
    <EntryPage
      name="Invitation"
      title="Join a project on Waybill"
      lead="Somebody has invited you. The link works once, for seven days."
      below={
        <>
          You have joined already?{" "}
          <Anchor component={Link} to="/sign-in">
            Sign in
          </Anchor>
          .
        </>
      }
    >
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
            <EntryFault>
              {token === "" &&
                "This address lacks its token. Copy the whole link of the invitation, or ask for a new one."}
            </EntryFault>
            <EntryFault>{accept.error?.message}</EntryFault>
            {who === "new" && <NameInput {...form.getInputProps("name")} />}
            <SecretInput
              isNew={who === "new"}
              {...(who === "known" && { description: "That of your account." })}
              {...form.getInputProps("password")}
            />
            <Button type="submit" loading={accept.isPending} disabled={token === ""} fullWidth>
              Join the project
            </Button>
          </Stack>
        </form>
        <SignInElsewhere />
      </Stack>
    </EntryPage>
  )
}
