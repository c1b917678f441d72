/** Recoveries: jobs that send again what did not arrive, over a stretch of time. */
import { Anchor, Button, Stack, Table, Text } from "@mantine/core"
import { IconPlus } from "@tabler/icons-react"
import { useInfiniteQuery } from "@tanstack/react-query"
import { Link } from "@tanstack/react-router"
import { given } from "waybill-sdk"
import { Guarded, useMay } from "../parts/access.tsx"
import { Moment } from "../parts/moment.tsx"
import { More } from "../parts/more.tsx"
import { Answered, Empty, Page } from "../parts/page.tsx"
import { recoveryStates, Share } from "../parts/recovery.tsx"
import { ColourBadge } from "../parts/status.tsx"
import { waybill } from "../waybill.ts"

export function Recoveries() {
  return (
    <Guarded scope="events:read" title="Recoveries">
      <List />
    </Guarded>
  )
}

function List() {
  const may = useMay()
  const query = useInfiniteQuery({
    queryKey: ["recoveries", "pages"],
    queryFn: ({ pageParam }) =>
      given(
        waybill.GET("/v1/recoveries", { params: { query: { limit: 50, ...(pageParam && { cursor: pageParam }) } } }),
      ),
    initialPageParam: "",
    getNextPageParam: last => last.next_cursor,
    refetchInterval: 5_000,
  })
  return (
    <Page
      title="Recoveries"
      lead="Jobs that send again what did not arrive, over a stretch of time, beside live traffic."
      actions={
        may("replay") && (
          <Button component={Link} to="/recoveries/new" leftSection={<IconPlus size={16} />}>
            Recover events
          </Button>
        )
      }
    >
      <Answered query={query}>
        {({ pages }) => {
          const all = pages.flatMap(({ data }) => data)
          if (all.length === 0) {
            return (
              <Empty title="No recoveries in the last 30 days">
                When an endpoint was down for long, or was set up wrongly, a recovery sends it what it has missed.
                {may("replay") && " It counts first, and sends when you say so."}
              </Empty>
            )
          }
          return (
            <Stack>
              <Table.ScrollContainer minWidth={820}>
                <Table aria-label="Recoveries, newest first">
                  <Table.Thead>
                    <Table.Tr>
                      <Table.Th>Begun</Table.Th>
                      <Table.Th>State</Table.Th>
                      <Table.Th>Integrations</Table.Th>
                      <Table.Th>Events received</Table.Th>
                      <Table.Th>Looked at</Table.Th>
                      <Table.Th>Delivered</Table.Th>
                      <Table.Th>Failed</Table.Th>
                    </Table.Tr>
                  </Table.Thead>
                  <Table.Tbody>
                    {all.map(recovery => (
                      <Table.Tr key={recovery.id}>
                        <Table.Td>
                          <Anchor component={Link} to={`/recoveries/${recovery.id}`}>
                            {new Date(recovery.created_at).toLocaleString()}
                          </Anchor>
                        </Table.Td>
                        <Table.Td>
                          <ColourBadge {...recoveryStates[recovery.state]} />
                        </Table.Td>
                        <Table.Td maw={240}>
                          <Text size="sm" lineClamp={2} className="wrap-anywhere">
                            {recovery.integrations.map(({ id, name }) => name ?? id).join(", ")}
                          </Text>
                        </Table.Td>
                        <Table.Td>
                          <Moment at={recovery.from} /> to <Moment at={recovery.to} />
                        </Table.Td>
                        <Table.Td>
                          <Share recovery={recovery} />
                        </Table.Td>
                        <Table.Td>{recovery.progress.delivered.toLocaleString()}</Table.Td>
                        <Table.Td>{recovery.progress.failed.toLocaleString()}</Table.Td>
                      </Table.Tr>
                    ))}
                  </Table.Tbody>
                </Table>
              </Table.ScrollContainer>
              <More query={query} what="recoveries" />
            </Stack>
          )
        }}
      </Answered>
    </Page>
  )
}
