/** Removes the project for good: its owner types its name, so that it is the right one. */
import { Button, Card, Group, Modal, Stack, Text, TextInput, Title } from "@mantine/core"
import { useDisclosure } from "@mantine/hooks"
import { useMutation } from "@tanstack/react-query"
import { useNavigate } from "@tanstack/react-router"
import { useState } from "react"
import { given } from "waybill-sdk"
import { forgetEverything, waybill } from "../waybill.ts"
import { faultsOfFields } from "./faults.ts"
import { Trouble } from "./page.tsx"
import { tell } from "./tell.tsx"

export function RemoveProject({ id, name }: { readonly id: string; readonly name: string }) {
  const [isOpen, { open, close }] = useDisclosure(false)
  const [typed, type] = useState("")
  const navigate = useNavigate()
  const remove = useMutation({
    mutationFn: () =>
      given(waybill.DELETE("/v1/projects/{id}", { params: { path: { id } }, body: { name: typed.trim() } })),
    onSuccess: async ({ token }) => {
      // It stays over the sign-in page, where this window goes now: the session has ended with the project.
      tell(
        `${name} is removed`,
        `Nothing opens it any more, and all of it is being taken away. How far that is: ${window.location.origin}/v1/removals/${token}`,
        "stays",
      )
      await forgetEverything()
      await navigate({ to: "/sign-in" })
    },
  })
  const fault = faultsOfFields(remove.error)["name"]
  return (
    <Card withBorder maw={640}>
      <Stack align="flex-start">
        <Title order={2} size="h4">
          Remove the project
        </Title>
        <Text size="sm">
          All of it goes for good: its events, integrations, keys, counts and its log. Only an owner may, and the last
          project of a Waybill stays.
        </Text>
        <Button
          variant="default"
          onClick={() => {
            remove.reset()
            type("")
            open()
          }}
        >
          Remove the project
        </Button>
      </Stack>
      <Modal opened={isOpen} onClose={close} title={`Remove ${name} for good?`} centered>
        <form
          onSubmit={event => {
            event.preventDefault()
            remove.mutate()
          }}
        >
          <Stack>
            <Text size="sm">
              At once its keys and sessions open nothing, nothing is taken in for it, and nothing more is sent. Then all
              of it is taken away. Nothing brings it back but a backup.
            </Text>
            <TextInput
              label="The project's name"
              description={`Type ${name}, so that it is the right one.`}
              autoComplete="off"
              data-autofocus
              value={typed}
              onChange={({ currentTarget }) => type(currentTarget.value)}
              error={fault}
            />
            {remove.error !== null && fault === undefined && <Trouble error={remove.error} />}
            <Group justify="flex-end">
              <Button variant="default" onClick={close}>
                Leave it
              </Button>
              <Button type="submit" color="red.8" loading={remove.isPending} disabled={typed.trim() === ""}>
                Remove it for good
              </Button>
            </Group>
          </Stack>
        </form>
      </Modal>
    </Card>
  )
}
