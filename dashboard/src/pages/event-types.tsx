/** The catalogue of event types, and Waybill's own after it. */
import { Anchor, Button, Group, Modal, Stack, Table, Text, TextInput, Title } from "@mantine/core"
import { useForm } from "@mantine/form"
import { useDisclosure } from "@mantine/hooks"
import { IconPlus } from "@tabler/icons-react"
import { useQuery } from "@tanstack/react-query"
import { Link, useNavigate, useSearch } from "@tanstack/react-router"
import { eventTypesQuery } from "../integration/data.ts"
import { Guarded, useMay } from "../parts/access.tsx"
import { Moment } from "../parts/moment.tsx"
import { Answered, Empty, Page } from "../parts/page.tsx"
import { useProject } from "../parts/project.ts"
import { useFilters } from "../parts/search.ts"
import type { Answer } from "../waybill.ts"

type EventType = Answer<"/v1/event-types">["data"][number]

export function EventTypes() {
  return (
    <Guarded scope="integrations:read" title="Event types">
      <Catalogue />
    </Guarded>
  )
}

function Catalogue() {
  const may = useMay()
  const { data: stands } = useProject()
  const { search = "" } = useSearch({ from: "/signed-in/event-types" })
  const { set } = useFilters()
  const [isAdding, adding] = useDisclosure(false)
  const query = useQuery(eventTypesQuery)
  return (
    <Page
      title="Event types"
      lead={
        stands?.project.strict_types
          ? "What may come in: this project is strict, so other types, and data that breaks a schema, are refused."
          : "What comes in, in words. This project takes other types, too; the settings make it strict."
      }
      actions={
        may("integrations:write") && (
          <Button leftSection={<IconPlus size={16} />} onClick={adding.open}>
            Add a type
          </Button>
        )
      }
    >
      <Add isOpen={isAdding} close={adding.close} />
      <Answered query={query}>
        {({ data }) => {
          const fits = data.filter(({ name, description }) =>
            `${name} ${description ?? ""}`.toLowerCase().includes(search.toLowerCase()),
          )
          const own = fits.filter(({ reserved }) => !reserved)
          const reserved = fits.filter(type => type.reserved)
          return (
            <Stack gap="lg">
              <TextInput
                aria-label="Search types"
                placeholder="Search types"
                maw={320}
                defaultValue={search}
                onChange={event => set({ search: event.currentTarget.value })}
              />
              {own.length > 0 ? (
                <Types label="Event types of the project" types={own} />
              ) : (
                <Empty title={search === "" ? "The catalogue is empty" : "No type fits"}>
                  {search === ""
                    ? "Events of any type are taken all the same. Add a type to describe it, to check its data, and to have it to choose from."
                    : "Search for a part of its name or description."}
                </Empty>
              )}
              {reserved.length > 0 && (
                <Stack gap="xs">
                  <Title order={2} size="h4">
                    Waybill's own
                  </Title>
                  <Text size="sm" c="dimmed">
                    What Waybill says of integrations and deliveries. They go to integrations that ask for them:{" "}
                    <Anchor component={Link} to="/alerts" size="sm">
                      see Alerts
                    </Anchor>
                    .
                  </Text>
                  <Types label="Waybill's own event types" types={reserved} />
                </Stack>
              )}
            </Stack>
          )
        }}
      </Answered>
    </Page>
  )
}

function Types({ label, types }: { readonly label: string; readonly types: readonly EventType[] }) {
  return (
    <Table.ScrollContainer minWidth={640}>
      <Table aria-label={label}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th miw={230}>Type</Table.Th>
            <Table.Th>What it means</Table.Th>
            <Table.Th>Schema</Table.Th>
            <Table.Th>Examples</Table.Th>
            <Table.Th>Changed</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {types.map(({ name, description, schema, examples, updated_at }) => (
            <Table.Tr key={name}>
              <Table.Td miw={230} maw={320}>
                <Anchor component={Link} to={`/event-types/${encodeURIComponent(name)}`} className="wrap-anywhere">
                  {name}
                </Anchor>
              </Table.Td>
              <Table.Td>
                <Text size="sm" lineClamp={2}>
                  {description ?? "–"}
                </Text>
              </Table.Td>
              <Table.Td>{schema === null ? "None" : "Yes"}</Table.Td>
              <Table.Td>{examples.length}</Table.Td>
              <Table.Td>
                <Moment at={updated_at} style="ago" />
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  )
}

function Add({ isOpen, close }: { readonly isOpen: boolean; readonly close: () => void }) {
  const navigate = useNavigate()
  const form = useForm({
    initialValues: { name: "" },
    validate: {
      name: name =>
        name.startsWith("waybill.")
          ? 'Types that begin with "waybill." are Waybill\'s own. Choose another name.'
          : /^[!-~]{1,128}$/.test(name)
            ? null
            : "1 to 128 printable ASCII characters without space.",
    },
  })
  return (
    <Modal opened={isOpen} onClose={close} title="Add an event type">
      <form onSubmit={form.onSubmit(({ name }) => navigate({ to: "/event-types/$name", params: { name } }))}>
        <Stack>
          <TextInput
            label="Type"
            description="As events name it in the field type."
            placeholder="subscription_renewed"
            required
            withAsterisk={false}
            data-autofocus
            {...form.getInputProps("name")}
          />
          <Group justify="flex-end">
            <Button variant="default" onClick={close}>
              Leave it
            </Button>
            <Button type="submit">Describe it</Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  )
}
