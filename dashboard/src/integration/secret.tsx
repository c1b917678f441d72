/** The keys that sign, and a new one in place of the current: both sign until the grace is over. */
import { Button, Group, Modal, Select, Stack, Table, Text } from "@mantine/core"
import { useDisclosure } from "@mantine/hooks"
import { useMutation } from "@tanstack/react-query"
import { useState } from "react"
import { given } from "waybill-sdk"
import { useMay } from "../parts/access.tsx"
import { Copied } from "../parts/copied.tsx"
import { Moment } from "../parts/moment.tsx"
import { Once } from "../parts/once.tsx"
import { Trouble } from "../parts/page.tsx"
import { SecretField } from "../parts/secret-field.tsx"
import { waybill } from "../waybill.ts"
import { faultsOf, noFaults, renew, type Tagged } from "./data.ts"

const graces = [
  { value: "0", label: "At once: the old one is known to others" },
  { value: "3600", label: "After an hour" },
  { value: "86400", label: "After a day" },
  { value: "604800", label: "After a week" },
]

export function IntegrationSecret({ integration }: Tagged) {
  const may = useMay()
  const { id, signing_keys: keys } = integration
  const [isOpen, { open, close }] = useDisclosure(false)
  const [grace, setGrace] = useState<string | null>("86400")
  const [own, setOwn] = useState("")
  const rotate = useMutation({
    mutationFn: () =>
      given(
        waybill.POST("/v1/integrations/{id}/rotate-secret", {
          params: { path: { id } },
          body: { grace_seconds: Number(grace ?? 86_400), ...(own !== "" && { secret: own }) },
        }),
      ),
    onSuccess: async () => {
      close()
      setOwn("")
      await renew(id)
    },
  })
  // Each reading is noted, so it is asked for by a button, and forgotten with the page.
  const shown = useMutation({
    mutationFn: () => given(waybill.GET("/v1/integrations/{id}/secret", { params: { path: { id } } })),
  })
  const faults = rotate.error === null ? noFaults : faultsOf(rotate.error)
  return (
    <Stack maw={860}>
      <Text size="sm">
        Receivers check the signature of each request with this secret, to know that it came from here and was not
        changed on its way.{" "}
        {may("secrets:read")
          ? "Whoever sets up a receiver anew can read it here; that it was read stands in the audit log."
          : "Your role does not read it. Ask an owner, an admin or a developer of the project, or rotate it."}
      </Text>
      {rotate.data?.secret !== undefined && (
        <Once title="The new signing secret" text={rotate.data.secret} label="Copy the secret">
          Give it to the receiver before the old one ends. Requests carry signatures of both until then.
        </Once>
      )}
      {shown.error !== null && <Trouble error={shown.error} />}
      {shown.data?.secrets.map(({ number, scheme, secret }) => (
        <Once
          key={number}
          title={`Signing secret ${number} (${scheme})`}
          text={secret}
          label="Copy the secret"
          lead="Keep it where only the receiver reads it."
        />
      ))}
      <Table.ScrollContainer minWidth={480}>
        <Table aria-label="Signing keys">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Number</Table.Th>
              <Table.Th>Kind</Table.Th>
              <Table.Th>Made</Table.Th>
              <Table.Th>Signs until</Table.Th>
              <Table.Th>Public key</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {keys.map(({ number, scheme, created_at, expires_at, public_key }) => (
              <Table.Tr key={number}>
                <Table.Td>{number}</Table.Td>
                <Table.Td>{scheme === "v1" ? "v1, symmetric" : "v1a, asymmetric"}</Table.Td>
                <Table.Td>
                  <Moment at={created_at} style="full" />
                </Table.Td>
                <Table.Td>{expires_at === null ? "It is rotated" : <Moment at={expires_at} style="full" />}</Table.Td>
                <Table.Td>
                  {public_key === null ? "–" : <Copied text={public_key} shown={`${public_key.slice(0, 16)}…`} />}
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      <Group>
        {may("secrets:read") && keys.length > 0 && (
          <Button variant="default" loading={shown.isPending} onClick={() => shown.mutate()}>
            Show the secret
          </Button>
        )}
        {may("integrations:write") && (
          <Button
            variant="default"
            onClick={() => {
              rotate.reset()
              open()
            }}
          >
            Rotate the secret
          </Button>
        )}
      </Group>
      <Modal opened={isOpen} onClose={close} title="Rotate the secret?" centered>
        <Stack>
          <Text size="sm">
            A new secret signs from now on. The old one signs beside it for a while, so that nothing is refused.
          </Text>
          <Select
            label="The old one ends"
            allowDeselect={false}
            data={graces}
            value={grace}
            onChange={setGrace}
            error={faults.get("/grace_seconds")}
          />
          <SecretField
            label="A secret of your own"
            description="whsec_… or whsk_…. Empty: one is made for you."
            autoComplete="off"
            value={own}
            onChange={({ currentTarget }) => setOwn(currentTarget.value)}
            error={faults.get("/secret")}
          />
          {rotate.error !== null && faults.size === 0 && <Trouble error={rotate.error} />}
          <Group justify="flex-end">
            <Button variant="default" onClick={close} data-autofocus>
              Leave it
            </Button>
            <Button loading={rotate.isPending} onClick={() => rotate.mutate()}>
              Rotate it
            </Button>
          </Group>
        </Stack>
      </Modal>
    </Stack>
  )
}
