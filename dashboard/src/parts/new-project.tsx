/** Makes a further project, whose first key is shown this once. */
import { Button, Group, Modal, Stack, Text, TextInput } from "@mantine/core"
import { useForm } from "@mantine/form"
import { useMutation } from "@tanstack/react-query"
import { given } from "waybill-sdk"
import { queries, sessionQuery, waybill } from "../waybill.ts"
import { faultsOfFields } from "./faults.ts"
import { Once } from "./once.tsx"
import { Trouble } from "./page.tsx"

export default function NewProject({
  close,
  enter,
}: {
  readonly close: () => void
  readonly enter: (id: string) => Promise<void>
}) {
  const form = useForm({ initialValues: { name: "" } })
  const make = useMutation({
    mutationFn: (body: typeof form.values) => given(waybill.POST("/v1/projects", { body })),
    onSuccess: () => queries.invalidateQueries(sessionQuery),
    onError: error => form.setErrors(faultsOfFields(error)),
  })
  return (
    <Modal opened onClose={close} title="Make a further project" size="lg">
      {make.data !== undefined ? (
        <Stack>
          <Once title={`The first key of ${make.data.name}`} text={make.data.key} label="Copy the key">
            It may do everything in that project. You are its owner, and can make others there.
          </Once>
          <Group justify="flex-end">
            <Button variant="default" onClick={close}>
              Stay here
            </Button>
            <Button onClick={() => void enter(make.data.id).then(close)}>Go to {make.data.name}</Button>
          </Group>
        </Stack>
      ) : (
        <form onSubmit={form.onSubmit(values => make.mutate(values))}>
          <Stack>
            <Text size="sm">
              A project has its own events, integrations, keys and people; nothing of it is seen from another one. For
              apps of one product take apps, not projects.
            </Text>
            <TextInput label="Name" required withAsterisk={false} data-autofocus {...form.getInputProps("name")} />
            {make.error !== null && <Trouble error={make.error} />}
            <Group justify="flex-end">
              <Button variant="default" onClick={close}>
                Leave it
              </Button>
              <Button type="submit" loading={make.isPending}>
                Make the project
              </Button>
            </Group>
          </Stack>
        </form>
      )}
    </Modal>
  )
}
