/** The set-up link's page: makes the first owner, on a Waybill that nobody has signed in to yet. */
import { Button, Stack } from "@mantine/core"
import { useForm } from "@mantine/form"
import { useMutation } from "@tanstack/react-query"
import { useSearch } from "@tanstack/react-router"
import {
  EmailInput,
  EntryFault,
  EntryPage,
  faultOfPassword,
  NameInput,
  SecretInput,
  useEnter,
} from "../parts/entry.tsx"
import { faultsOfFields } from "../parts/faults.ts"
import { waybill } from "../waybill.ts"

export function SetUp() {
  const { token = "" } = useSearch({ from: "/setup" })
  const enter = useEnter()
  const form = useForm({
    initialValues: { name: "", email: "", password: "" },
    validate: { password: faultOfPassword },
  })
  const setUp = useMutation({
    mutationFn: (who: typeof form.values) => waybill.POST("/v1/setup", { body: { token, ...who } }),
    onSuccess: () => enter("/"),
    onError: error => form.setErrors(faultsOfFields(error)),
  })
  return (
    <EntryPage
      name="Set up"
      title="Set Waybill up"
      lead="You become the owner of its first project. Others come in by your invitation."
    >
      <form onSubmit={form.onSubmit(values => setUp.mutate(values))}>
        <Stack>
          <EntryFault>
            {token === "" && (
              <>
                This address lacks its token. Open the link as it was printed when Waybill first started; who has lost
                it runs <code>waybill people setup-link</code>.
              </>
            )}
          </EntryFault>
          <EntryFault>{setUp.error?.message}</EntryFault>
          <NameInput {...form.getInputProps("name")} />
          <EmailInput {...form.getInputProps("email")} />
          <SecretInput isNew {...form.getInputProps("password")} />
          <Button type="submit" loading={setUp.isPending} disabled={token === ""} fullWidth>
            Become the owner
          </Button>
        </Stack>
      </form>
    </EntryPage>
  )
}
