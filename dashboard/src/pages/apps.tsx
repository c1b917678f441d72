/** Apps: the applications and device products that events belong to. */
import { Anchor, Button, Group, Modal, Stack, Table, Text, TextInput } from "@mantine/core"
import { useForm } from "@mantine/form"
import { useDisclosure } from "@mantine/hooks"
import { IconPlus } from "@tabler/icons-react"
import { useInfiniteQuery, useMutation } from "@tanstack/react-query"
import { Link } from "@tanstack/react-router"
import { given } from "waybill-sdk"
import { Guarded, useMay } from "../parts/access.tsx"
import { faultsOfFields } from "../parts/faults.ts"
import { Moment } from "../parts/moment.tsx"
import { More } from "../parts/more.tsx"
import { Answered, Empty, Page, Trouble } from "../parts/page.tsx"
import { queries, waybill } from "../waybill.ts"

export function Apps() {
  return (
    <Guarded scope="events:read" title="Apps">
      <List />
    </Guarded>
  )
}

function List() {
  const may = useMay()
  const [isMaking, making] = useDisclosure(false)
  const query = useInfiniteQuery({
    queryKey: ["apps", "pages"],
    queryFn: ({ pageParam }) =>
      given(waybill.GET("/v1/apps", { params: { query: { limit: 100, ...(pageParam && { cursor: pageParam }) } } })),
    initialPageParam: "",
    getNextPageParam: last => last.next_cursor,
  })
  return (
    <Page
      title="Apps"
      lead="The applications and device products that events name. Integrations and keys can be limited to some."
      actions={
        may("integrations:write") && (
          <Button leftSection={<IconPlus size={16} />} onClick={making.open}>
            Make an app
          </Button>
        )
      }
    >
      <Make isOpen={isMaking} close={making.close} />
      <Answered query={query}>
        {({ pages }) => {
          const apps = pages.flatMap(({ data }) => data)
          if (apps.length === 0) {
            return (
              <Empty title="No apps yet">
                Send an event with the field <code>app</code>, such as <code>"app": "ios"</code>, and it stands here.
                {may("integrations:write") && " Or make one by hand."}
              </Empty>
            )
          }
          return (
            <Stack>
              <Table.ScrollContainer minWidth={480}>
                <Table aria-label="Apps">
                  <Table.Thead>
                    <Table.Tr>
                      <Table.Th>Name</Table.Th>
                      <Table.Th>Title</Table.Th>
                      <Table.Th>Made</Table.Th>
                      <Table.Th>Events</Table.Th>
                    </Table.Tr>
                  </Table.Thead>
                  <Table.Tbody>
                    {apps.map(({ id, name, title, created_at }) => (
                      <Table.Tr key={id}>
                        <Table.Td className="mono">{name}</Table.Td>
                        <Table.Td>{title ?? "–"}</Table.Td>
                        <Table.Td>
                          <Moment at={created_at} style="full" />
                        </Table.Td>
                        <Table.Td>
                          <Anchor component={Link} to={`/events?app=${encodeURIComponent(name)}`} size="sm">
                            Its events
                          </Anchor>
                        </Table.Td>
                      </Table.Tr>
                    ))}
                  </Table.Tbody>
                </Table>
              </Table.ScrollContainer>
              <More query={query} what="apps" />
            </Stack>
          )
        }}
      </Answered>
    </Page>
  )
}

function Make({ isOpen, close }: { readonly isOpen: boolean; readonly close: () => void }) {
  const form = useForm({ initialValues: { name: "", title: "" } })
  const make = useMutation({
    mutationFn: ({ name, title }: typeof form.values) =>
      waybill.POST("/v1/apps", { body: { name, ...(title !== "" && { title }) } }),
    onSuccess: async () => {
      form.reset()
      close()
      await queries.invalidateQueries({ queryKey: ["apps"] })
    },
    onError: error => form.setErrors(faultsOfFields(error)),
  })
  return (
    <Modal opened={isOpen} onClose={close} title="Make an app">
      <form onSubmit={form.onSubmit(values => make.mutate(values))}>
        <Stack>
          <TextInput
            label="Name"
            description="What events say in the field app: letters, digits, dots, underscores and dashes."
            placeholder="ios"
            required
            withAsterisk={false}
            data-autofocus
            {...form.getInputProps("name")}
          />
          <TextInput
            label="Title"
            description="What people call it. An app that is there already gets this title."
            {...form.getInputProps("title")}
          />
          {make.error !== null && <Trouble error={make.error} />}
          <Group justify="flex-end">
            <Button variant="default" onClick={close}>
              Leave it
            </Button>
            <Button type="submit" loading={make.isPending}>
              Make the app
            </Button>
          </Group>
          <Text size="xs" c="dimmed">
            An app cannot be taken away again.
          </Text>
        </Stack>
      </form>
    </Modal>
  )
}
