/** Who is told what when an integration needs somebody: by mail, and by events that integrations ask for. */
import { Anchor, Button, Group, Stack, Table, Text, Title } from "@mantine/core"
import { useQuery } from "@tanstack/react-query"
import { Link } from "@tanstack/react-router"
import { given } from "waybill-sdk"
import { eventTypesQuery } from "../integration/data.ts"
import { Guarded, useMay } from "../parts/access.tsx"
import { Answered, Page } from "../parts/page.tsx"
import { useProject } from "../parts/project.ts"
import { ColourBadge } from "../parts/status.tsx"
import { type Answer, waybill } from "../waybill.ts"
import { Mail } from "./status.tsx"

type Rules = Answer<"/v1/integrations">["data"][number]["events"]

export function Alerts() {
  return (
    <Guarded scope="integrations:read" title="Alerts">
      <Page title="Alerts" lead="Nobody looks at a hub that works: who hears of it when something here needs a person.">
        <ByMail />
        <ByEvents />
      </Page>
    </Guarded>
  )
}

function ByMail() {
  const may = useMay()
  const project = useProject()
  const status = useQuery({ queryKey: ["status"], queryFn: () => given(waybill.GET("/v1/status")) })
  return (
    <Stack gap="xs" maw={860}>
      <Title order={2} size="h4">
        By mail
      </Title>
      <Answered query={project}>
        {({ project: { alert_emails: addresses } }) => (
          <Group gap="sm">
            <Text size="sm" className="wrap-anywhere">
              {addresses === null || addresses.length === 0
                ? "No address is named, so nobody is told by mail."
                : `When an integration fails for long, is switched off, or works again after that: ${addresses.join(", ")}.`}
            </Text>
            {may("admin") && (
              <Button component={Link} to="/settings" size="xs" variant="default">
                Change the addresses
              </Button>
            )}
          </Group>
        )}
      </Answered>
      <Answered query={status}>{({ mail }) => <Mail mail={mail} />}</Answered>
    </Stack>
  )
}

function ByEvents() {
  const may = useMay()
  const types = useQuery(eventTypesQuery)
  const integrations = useQuery({
    queryKey: ["integrations", "all"],
    queryFn: () => given(waybill.GET("/v1/integrations", { params: { query: { limit: 200 } } })),
  })
  return (
    <Stack gap="xs">
      <Title order={2} size="h4">
        By events
      </Title>
      <Text size="sm" maw={860}>
        Waybill says the same as events, to integrations that ask for them by name or with <code>waybill.*</code>: a
        chat, a pager, a tool of your own. Let them go to another endpoint than those that they tell of.{" "}
        {may("integrations:write") && (
          <Anchor component={Link} to="/integrations/new" size="sm">
            Set up an integration for them
          </Anchor>
        )}
      </Text>
      <Answered query={types}>
        {({ data }) => (
          <Table.ScrollContainer minWidth={640}>
            <Table aria-label="What Waybill tells of">
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>Event</Table.Th>
                  <Table.Th>When</Table.Th>
                  <Table.Th>Who gets it</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {data.flatMap(({ name, description, reserved }) => {
                  if (!reserved) return []
                  const asked = integrations.data?.data.filter(({ events }) => asksFor(events, name)) ?? []
                  return [
                    <Table.Tr key={name}>
                      <Table.Td>
                        <Anchor component={Link} to={`/event-types/${name}`} size="sm">
                          {name}
                        </Anchor>
                      </Table.Td>
                      <Table.Td maw={420}>
                        <Text size="sm">{description}</Text>
                      </Table.Td>
                      <Table.Td>
                        {asked.length === 0 ? (
                          <ColourBadge colour="grey" word="Nobody" />
                        ) : (
                          asked.map(({ id, name: title, enabled }) => (
                            <Text key={id} size="sm">
                              <Anchor component={Link} to={`/integrations/${id}`} size="sm">
                                {title}
                              </Anchor>
                              {!enabled && " (switched off)"}
                            </Text>
                          ))
                        )}
                      </Table.Td>
                    </Table.Tr>,
                  ]
                })}
              </Table.Tbody>
            </Table>
          </Table.ScrollContainer>
        )}
      </Answered>
    </Stack>
  )
}

/** Waybill's own types go to who names them: exactly, or by a prefix longer than a bare `*`; the longest one holds. */
function asksFor({ types = {} }: Rules, type: string): boolean {
  const rules = types as Readonly<Record<string, { readonly enabled?: boolean; readonly name?: string }>>
  const prefixes = Object.keys(rules)
    .filter(rule => rule.endsWith("*") && rule.startsWith("waybill.") && type.startsWith(rule.slice(0, -1)))
    .toSorted((a, b) => b.length - a.length)
  const rule = rules[type] ?? rules[prefixes[0] ?? ""]
  return rule !== undefined && rule.enabled !== false && rule.name?.trim() !== ""
}
