/** One's own account: password, sessions, what one may do here. */
import { Button, Card, Group, Stack, Table, Text, Title } from "@mantine/core"
import { useForm } from "@mantine/form"
import { notifications } from "@mantine/notifications"
import { useMutation, useQuery } from "@tanstack/react-query"
import { useNavigate } from "@tanstack/react-router"
import { given } from "waybill-sdk"
import { rolesQuery } from "../parts/access.tsx"
import { Confirm } from "../parts/confirm.tsx"
import { Moment } from "../parts/moment.tsx"
import { Answered, Page, Trouble } from "../parts/page.tsx"
import { SecretField } from "../parts/secret-field.tsx"
import { ColourBadge } from "../parts/status.tsx"
import { forgetEverything, queries, sessionQuery, waybill } from "../waybill.ts"

const LEAST_CHARACTERS = 12

export function Account() {
  const session = useQuery(sessionQuery)
  const { data: known } = useQuery(rolesQuery)
  return (
    <Page title="Your account" lead={session.data?.person.email}>
      <Answered query={session}>
        {mine =>
          mine !== null && (
            <Text size="sm">
              You are <b>{mine.project.role}</b> in {mine.project.name}:{" "}
              {known?.roles.find(({ name }) => name === mine.project.role)?.may}{" "}
              {mine.projects.length > 1 && `You belong to ${mine.projects.length} projects. `}
              An owner or admin takes you out of a project or gives you another role.
            </Text>
          )
        }
      </Answered>
      <Password email={session.data?.person.email ?? ""} />
      <Sessions />
    </Page>
  )
}

function Password({ email }: { readonly email: string }) {
  const form = useForm({
    initialValues: { current: "", next: "" },
    validate: {
      next: text =>
        text.length < LEAST_CHARACTERS ? `At least ${LEAST_CHARACTERS} characters; long beats odd.` : null,
    },
  })
  const change = useMutation({
    mutationFn: ({ current, next }: typeof form.values) =>
      waybill.PUT("/v1/session/password", {
        body: { new_password: next, ...(current !== "" && { current_password: current }) },
      }),
    onSuccess: async () => {
      form.reset()
      await forgetEverything()
      notifications.show({ message: "The password is changed. Your other sessions have ended.", color: "waybill" })
    },
  })
  return (
    <Card withBorder maw={520}>
      <form onSubmit={form.onSubmit(values => change.mutate(values))}>
        <Stack>
          <Title order={2} size="h4">
            Change your password
          </Title>
          {/* For password managers, which ask whose password it is. */}
          <input type="text" autoComplete="username" value={email} readOnly hidden />
          <SecretField
            label="The password of now"
            description="Leave it empty if you have none yet, as you sign in with your organisation's account."
            autoComplete="current-password"
            {...form.getInputProps("current")}
          />
          <SecretField
            label="The new one"
            description={`At least ${LEAST_CHARACTERS} characters. Your other sessions end.`}
            autoComplete="new-password"
            required
            withAsterisk={false}
            {...form.getInputProps("next")}
          />
          {change.error !== null && <Trouble error={change.error} />}
          <Group>
            <Button type="submit" loading={change.isPending}>
              Change the password
            </Button>
          </Group>
        </Stack>
      </form>
    </Card>
  )
}

const ways = {
  password: "With a password",
  setup: "By the set-up link",
  invitation: "By an invitation",
  oidc: "With OpenID Connect",
} as const

function Sessions() {
  const navigate = useNavigate()
  const query = useQuery({ queryKey: ["sessions"], queryFn: () => given(waybill.GET("/v1/sessions")) })
  const everywhere = async () => {
    await waybill.DELETE("/v1/sessions")
    await forgetEverything()
    await navigate({ to: "/sign-in" })
  }
  return (
    <Stack gap="xs">
      <Group justify="space-between">
        <Title order={2} size="h4">
          Your sessions
        </Title>
        <Confirm
          size="xs"
          label="Sign out everywhere"
          title="Sign out everywhere?"
          action="Sign out everywhere"
          run={everywhere}
        >
          All your sessions end at once, this one too. You sign in again afterwards.
        </Confirm>
      </Group>
      <Answered query={query}>
        {({ data }) => (
          <Table.ScrollContainer minWidth={760}>
            <Table aria-label="Your sessions">
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>From</Table.Th>
                  <Table.Th>How</Table.Th>
                  <Table.Th>Project</Table.Th>
                  <Table.Th>Began</Table.Th>
                  <Table.Th>Last seen</Table.Th>
                  <Table.Th>Ends unless used</Table.Th>
                  <Table.Th>Actions</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {data.map(session => (
                  <Table.Tr key={session.id}>
                    <Table.Td maw={300}>
                      <Text size="sm">{session.address}</Text>
                      <Text size="xs" c="dimmed" className="wrap-anywhere" lineClamp={2}>
                        {session.agent ?? "No browser named itself"}
                      </Text>
                    </Table.Td>
                    <Table.Td>{ways[session.way]}</Table.Td>
                    <Table.Td>{session.project.name}</Table.Td>
                    <Table.Td>
                      <Moment at={session.created_at} />
                    </Table.Td>
                    <Table.Td>
                      <Moment at={session.last_seen_at} style="ago" />
                    </Table.Td>
                    <Table.Td>
                      <Moment at={session.expires_at} />
                    </Table.Td>
                    <Table.Td>
                      {session.current ? (
                        <ColourBadge colour="green" word="This one" />
                      ) : (
                        <Confirm
                          size="xs"
                          label="End"
                          about={`the session from ${session.address}`}
                          title="End this session?"
                          action="End it"
                          run={async () => {
                            await waybill.DELETE("/v1/sessions/{id}", { params: { path: { id: session.id } } })
                            await queries.invalidateQueries({ queryKey: ["sessions"] })
                          }}
                        >
                          Whoever uses it is signed out at once.
                        </Confirm>
                      )}
                    </Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          </Table.ScrollContainer>
        )}
      </Answered>
    </Stack>
  )
}
