/** Failures that look alike, in groups: how many, since when, an example, and a way to send them again. */
import { Anchor, Button, Code, Group, Stack, Table, Text } from "@mantine/core"
import { useInfiniteQuery } from "@tanstack/react-query"
import { Link } from "@tanstack/react-router"
import { given } from "waybill-sdk"
import { useMay } from "../parts/access.tsx"
import { visible } from "../parts/code.tsx"
import { Moment } from "../parts/moment.tsx"
import { More } from "../parts/more.tsx"
import { Answered, Empty } from "../parts/page.tsx"
import { IdLink } from "../parts/place.tsx"
import { ColourBadge } from "../parts/status.tsx"
import { portal } from "../portal.ts"
import { waybill } from "../waybill.ts"
import type { Tagged } from "./data.ts"

export function IntegrationFailures({ integration: { id } }: Tagged) {
  const may = useMay()
  const query = useInfiniteQuery({
    queryKey: ["integration", id, "failures"],
    queryFn: ({ pageParam }) =>
      given(
        waybill.GET("/v1/integrations/{id}/failures", {
          params: { path: { id }, query: { ...(pageParam && { cursor: pageParam }) } },
        }),
      ),
    initialPageParam: "",
    getNextPageParam: last => last.next_cursor,
  })
  return (
    <Answered query={query}>
      {({ pages }) => {
        const groups = pages.flatMap(({ data }) => data)
        if (groups.length === 0) {
          return <Empty title="No failures">Nothing has failed here in the last 30 days. There is nothing to do.</Empty>
        }
        return (
          <Stack>
            <Table.ScrollContainer minWidth={820}>
              <Table aria-label="Failures in groups">
                <Table.Thead>
                  <Table.Tr>
                    <Table.Th>What was said</Table.Th>
                    <Table.Th ta="right">Count</Table.Th>
                    <Table.Th>First</Table.Th>
                    <Table.Th>Last</Table.Th>
                    <Table.Th>Example</Table.Th>
                    <Table.Th>
                      <span className="visually-hidden">What to do</span>
                    </Table.Th>
                  </Table.Tr>
                </Table.Thead>
                <Table.Tbody>
                  {groups.map(group => (
                    <Table.Tr key={group.id}>
                      <Table.Td>
                        <Stack gap={4} align="flex-start">
                          <Group gap="xs">
                            <Text size="sm" fw={600}>
                              {group.title}
                            </Text>
                            <ColourBadge
                              colour={group.going_on ? "red" : "grey"}
                              word={group.going_on ? "Goes on" : "Over"}
                            />
                          </Group>
                          {group.message !== null && <Code className="wrap-anywhere">{visible(group.message)}</Code>}
                          {group.message_hidden && (
                            <Text size="xs" c="dimmed">
                              Your role does not show what was said.
                            </Text>
                          )}
                        </Stack>
                      </Table.Td>
                      <Table.Td ta="right">{group.count.toLocaleString()}</Table.Td>
                      <Table.Td>
                        <Moment at={group.first_at} />
                      </Table.Td>
                      <Table.Td>
                        <Moment at={group.last_at} />
                      </Table.Td>
                      <Table.Td>
                        <IdLink id={group.example.event} />
                      </Table.Td>
                      <Table.Td>
                        {may("replay") && portal === null && (
                          <Button
                            size="xs"
                            variant="default"
                            component={Link}
                            to={`/integrations/${id}`}
                            search={{ tab: "recovery", reason: group.reason } as never}
                            aria-label={`Recover these: ${group.title}`}
                          >
                            Recover these
                          </Button>
                        )}
                      </Table.Td>
                    </Table.Tr>
                  ))}
                </Table.Tbody>
              </Table>
            </Table.ScrollContainer>
            <Text size="sm" c="dimmed">
              In a message, {"{id}"}, {"{n}"} and {"{time}"} stand for what differs. See the whole answers under{" "}
              <Anchor
                component={Link}
                to={`/integrations/${id}`}
                search={{ tab: "logs" } as never}
                size="sm"
                underline="always"
              >
                Logs
              </Anchor>
              .
            </Text>
            <More query={query} what="groups" />
          </Stack>
        )
      }}
    </Answered>
  )
}
