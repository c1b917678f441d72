/** People: who works in the project and as what, and how others come in. */
import { Alert, Button, Group, Modal, Select, Stack, Table, Text, TextInput, Title } from "@mantine/core"
import { useForm } from "@mantine/form"
import { useDisclosure } from "@mantine/hooks"
import { IconUserPlus } from "@tabler/icons-react"
import { useInfiniteQuery, useMutation, useQuery } from "@tanstack/react-query"
import { useNavigate } from "@tanstack/react-router"
import { given } from "waybill-sdk"
import { Guarded, rolesQuery } from "../parts/access.tsx"
import { Confirm } from "../parts/confirm.tsx"
import { faultsOfFields } from "../parts/faults.ts"
import { Moment } from "../parts/moment.tsx"
import { More } from "../parts/more.tsx"
import { Once } from "../parts/once.tsx"
import { Answered, Page, Trouble } from "../parts/page.tsx"
import { ColourBadge } from "../parts/status.tsx"
import { type Answer, forgetEverything, queries, sessionQuery, waybill } from "../waybill.ts"

type Member = Answer<"/v1/people">["data"][number]
type Role = Member["role"]

const renew = () =>
  Promise.all([
    queries.invalidateQueries({ queryKey: ["people"] }),
    queries.invalidateQueries({ queryKey: ["invitations"] }),
  ])

export function People() {
  return (
    <Guarded scope="admin" title="People">
      <Everybody />
    </Guarded>
  )
}

function Everybody() {
  const [isInviting, inviting] = useDisclosure(false)
  const people = useInfiniteQuery({
    queryKey: ["people"],
    queryFn: ({ pageParam }) =>
      given(waybill.GET("/v1/people", { params: { query: { limit: 100, ...(pageParam && { cursor: pageParam }) } } })),
    initialPageParam: "",
    getNextPageParam: last => last.next_cursor,
  })
  return (
    <Page
      title="People"
      lead="Who works in this project, and as what."
      actions={
        <Button leftSection={<IconUserPlus size={16} />} onClick={inviting.open}>
          Invite somebody
        </Button>
      }
    >
      <Invite isOpen={isInviting} close={inviting.close} />
      <Answered query={people}>
        {({ pages }) => (
          <Stack>
            <Members members={pages.flatMap(({ data }) => data)} />
            <More query={people} what="people" />
          </Stack>
        )}
      </Answered>
      <Invitations />
      <Roles />
    </Page>
  )
}

function Members({ members }: { readonly members: readonly Member[] }) {
  const { data: session } = useQuery(sessionQuery)
  const { data: known } = useQuery(rolesQuery)
  const navigate = useNavigate()
  const isOwner = session?.project.role === "owner"
  const change = useMutation({
    mutationFn: ({ id, role }: { id: string; role: Role }) =>
      waybill.PATCH("/v1/people/{id}", { params: { path: { id } }, body: { role } }),
    onSuccess: async (_, { id }) => {
      // A new role comes with a new session.
      if (id === session?.person.id) await forgetEverything()
      await renew()
    },
  })
  const names = known?.roles.map(({ name }) => name) ?? []
  return (
    <Stack>
      {change.error !== null && <Trouble error={change.error} />}
      <Table.ScrollContainer minWidth={720}>
        <Table aria-label="People of the project">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Name</Table.Th>
              <Table.Th>Role</Table.Th>
              <Table.Th>Came</Table.Th>
              <Table.Th>Last seen</Table.Th>
              <Table.Th>Actions</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {members.map(({ id, name, email, role, joined_at, last_seen_at }) => {
              const isSelf = id === session?.person.id
              const mayChange = isOwner || role !== "owner"
              return (
                <Table.Tr key={id}>
                  <Table.Td>
                    <Text size="sm" fw={600} className="wrap-anywhere">
                      {name}
                      {isSelf && " (you)"}
                    </Text>
                    <Text size="xs" c="dimmed" className="wrap-anywhere">
                      {email}
                    </Text>
                  </Table.Td>
                  <Table.Td>
                    {mayChange ? (
                      <Select
                        size="xs"
                        w={130}
                        aria-label={`Role of ${name}`}
                        value={role}
                        allowDeselect={false}
                        data={names.map(value => ({ value, label: value, disabled: value === "owner" && !isOwner }))}
                        onChange={value => {
                          const next = names.find(each => each === value)
                          if (next !== undefined && next !== role) change.mutate({ id, role: next })
                        }}
                        disabled={change.isPending}
                      />
                    ) : (
                      <Text size="sm">{role}</Text>
                    )}
                  </Table.Td>
                  <Table.Td>
                    <Moment at={joined_at} style="full" />
                  </Table.Td>
                  <Table.Td>
                    {last_seen_at === null ? "Not signed in" : <Moment at={last_seen_at} style="ago" />}
                  </Table.Td>
                  <Table.Td>
                    {mayChange && (
                      <Confirm
                        size="xs"
                        label={isSelf ? "Leave" : "Remove"}
                        about={isSelf ? "the project" : name}
                        title={isSelf ? "Leave this project?" : `Remove ${name}?`}
                        action={isSelf ? "Leave the project" : "Remove them"}
                        run={async () => {
                          await waybill.DELETE("/v1/people/{id}", { params: { path: { id } } })
                          if (!isSelf) return renew()
                          await forgetEverything()
                          return navigate({ to: "/" })
                        }}
                      >
                        {isSelf
                          ? "Your sessions in this project end at once, here too. You come back by an invitation only."
                          : `Their sessions in this project end at once. Keys that ${name} has made stay as they are: revoke them on the page API keys.`}
                      </Confirm>
                    )}
                  </Table.Td>
                </Table.Tr>
              )
            })}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
    </Stack>
  )
}

const fates = {
  open: { colour: "amber", word: "Open" },
  used: { colour: "green", word: "Accepted" },
  revoked: { colour: "grey", word: "Revoked" },
  expired: { colour: "grey", word: "Expired" },
} as const

function Invitations() {
  const query = useInfiniteQuery({
    queryKey: ["invitations"],
    queryFn: ({ pageParam }) =>
      given(
        waybill.GET("/v1/invitations", { params: { query: { limit: 20, ...(pageParam && { cursor: pageParam }) } } }),
      ),
    initialPageParam: "",
    getNextPageParam: last => last.next_cursor,
  })
  return (
    <Stack gap="xs">
      <Title order={2} size="h4">
        Invitations
      </Title>
      <Answered query={query}>
        {({ pages }) => {
          const all = pages.flatMap(({ data }) => data)
          if (all.length === 0) {
            return (
              <Text size="sm" c="dimmed">
                Nobody has been invited yet.
              </Text>
            )
          }
          return (
            <>
              <Table.ScrollContainer minWidth={640}>
                <Table aria-label="Invitations">
                  <Table.Thead>
                    <Table.Tr>
                      <Table.Th>E-mail</Table.Th>
                      <Table.Th>As</Table.Th>
                      <Table.Th>State</Table.Th>
                      <Table.Th>Made</Table.Th>
                      <Table.Th>Good until</Table.Th>
                      <Table.Th>Actions</Table.Th>
                    </Table.Tr>
                  </Table.Thead>
                  <Table.Tbody>
                    {all.map(({ id, email, role, state, created_at, expires_at }) => (
                      <Table.Tr key={id}>
                        <Table.Td className="wrap-anywhere">{email}</Table.Td>
                        <Table.Td>{role}</Table.Td>
                        <Table.Td>
                          <ColourBadge {...fates[state]} />
                        </Table.Td>
                        <Table.Td>
                          <Moment at={created_at} />
                        </Table.Td>
                        <Table.Td>
                          <Moment at={expires_at} />
                        </Table.Td>
                        <Table.Td>
                          {state === "open" && (
                            <Confirm
                              size="xs"
                              label="Revoke"
                              about={email}
                              title={`Revoke the invitation of ${email}?`}
                              action="Revoke it"
                              run={async () => {
                                await waybill.DELETE("/v1/invitations/{id}", { params: { path: { id } } })
                                await renew()
                              }}
                            >
                              Its link stops working at once. You can invite them again later.
                            </Confirm>
                          )}
                        </Table.Td>
                      </Table.Tr>
                    ))}
                  </Table.Tbody>
                </Table>
              </Table.ScrollContainer>
              <More query={query} what="invitations" />
            </>
          )
        }}
      </Answered>
    </Stack>
  )
}

function Invite({ isOpen, close }: { readonly isOpen: boolean; readonly close: () => void }) {
  const { data: session } = useQuery(sessionQuery)
  const { data: known } = useQuery(rolesQuery)
  const form = useForm({ initialValues: { email: "", role: "support" as Role } })
  const invite = useMutation({
    mutationFn: (body: { email: string; role: Role }) => given(waybill.POST("/v1/invitations", { body })),
    onSuccess: renew,
    onError: error => form.setErrors(faultsOfFields(error)),
  })
  const leave = () => {
    close()
    invite.reset()
    form.reset()
  }
  const roles = known?.roles.filter(({ name }) => name !== "owner" || session?.project.role === "owner") ?? []
  return (
    <Modal opened={isOpen} onClose={leave} title="Invite somebody" size="lg">
      {invite.data !== undefined ? (
        <Stack>
          <Once title={`The link for ${invite.data.email}`} text={invite.data.url} label="Copy the link">
            Whoever opens it comes in as {invite.data.role}: send it to them alone. It is good until{" "}
            <Moment at={invite.data.expires_at} style="full" />.
          </Once>
          <Text size="sm">
            {invite.data.mailed
              ? `It goes to ${invite.data.email} by mail, too.`
              : "Mail is not set up on this Waybill, so that it goes to nobody by itself."}
          </Text>
          <Group justify="flex-end">
            <Button onClick={leave}>Done</Button>
          </Group>
        </Stack>
      ) : (
        <form onSubmit={form.onSubmit(values => invite.mutate(values))}>
          <Stack>
            <TextInput
              label="E-mail"
              type="email"
              required
              withAsterisk={false}
              data-autofocus
              {...form.getInputProps("email")}
            />
            <Select
              label="As"
              description={roles.find(({ name }) => name === form.values.role)?.may}
              data={roles.map(({ name }) => name)}
              allowDeselect={false}
              {...form.getInputProps("role")}
            />
            {invite.error !== null && <Trouble error={invite.error} />}
            <Group justify="flex-end">
              <Button variant="default" onClick={leave}>
                Leave it
              </Button>
              <Button type="submit" loading={invite.isPending}>
                Make the invitation
              </Button>
            </Group>
          </Stack>
        </form>
      )}
    </Modal>
  )
}

function Roles() {
  const { data } = useQuery(rolesQuery)
  if (data === undefined) return null
  return (
    <Stack gap="xs">
      <Title order={2} size="h4">
        What each role may do
      </Title>
      <Table.ScrollContainer minWidth={520} scrollAreaProps={{ viewportProps: { tabIndex: 0 } }}>
        <Table aria-label="Roles">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Role</Table.Th>
              <Table.Th>May</Table.Th>
              <Table.Th>Scopes</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {data.roles.map(({ name, may, scopes }) => (
              <Table.Tr key={name}>
                <Table.Td fw={600}>{name}</Table.Td>
                <Table.Td>{may}</Table.Td>
                <Table.Td>
                  <Text size="xs" c="dimmed" className="mono">
                    {scopes.join(", ")}
                  </Text>
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      <Alert variant="default">
        Who gets another role has to sign in again. A project keeps at least one owner, and only owners make owners.
      </Alert>
    </Stack>
  )
}
