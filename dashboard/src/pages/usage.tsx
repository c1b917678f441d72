/** What has gone through this project in 30 days, as far as it is counted: attempts and skips of each integration. */
import { Anchor, Stack, Table, Text } from "@mantine/core"
import { useInfiniteQuery, useQueries } from "@tanstack/react-query"
import { Link } from "@tanstack/react-router"
import { lazy, Suspense } from "react"
import { given } from "waybill-sdk"
import { Guarded, useMay } from "../parts/access.tsx"
import { More } from "../parts/more.tsx"
import { Answered, Empty, Lines, Page, Trouble } from "../parts/page.tsx"
import { useProject } from "../parts/project.ts"
import { waybill } from "../waybill.ts"

const Spark = lazy(() => import("../parts/spark.tsx").then(({ Spark: component }) => ({ default: component })))

export function Usage() {
  return (
    <Guarded scope="integrations:read" title="Usage">
      <Counted />
    </Guarded>
  )
}

function Counted() {
  const query = useInfiniteQuery({
    queryKey: ["integrations", "usage"],
    queryFn: ({ pageParam }) =>
      given(
        waybill.GET("/v1/integrations", { params: { query: { limit: 25, ...(pageParam && { cursor: pageParam }) } } }),
      ),
    initialPageParam: "",
    getNextPageParam: last => last.next_cursor,
  })
  return (
    <Page
      title="Usage"
      lead="Attempts of the last 30 days, each counted when it was made; tests are not counted. Events themselves are not counted by type: the feed's filters show them."
    >
      <Quota />
      <Answered query={query}>
        {({ pages }) => {
          const integrations = pages.flatMap(({ data }) => data)
          return integrations.length === 0 ? (
            <Empty title="Nothing to count yet">
              Attempts are counted for each integration, and there is none.{" "}
              <Anchor component={Link} to="/integrations/new" size="sm">
                Set one up
              </Anchor>
              .
            </Empty>
          ) : (
            <Stack>
              <Counts integrations={integrations} />
              <More query={query} what="integrations" />
            </Stack>
          )
        }}
      </Answered>
    </Page>
  )
}

function Quota() {
  const may = useMay()
  const { data } = useProject()
  if (data === undefined) return null
  const { max_requests_per_minute: most, payload_days: days } = data.project
  return (
    <Text size="sm">
      Keys of this project may make{" "}
      {most === null ? "any number of requests" : `${most.toLocaleString()} requests a minute together`}. Payloads are
      kept for {days === 1 ? "1 day" : `${days} days`}.{" "}
      {may("admin") && (
        <Anchor component={Link} to="/settings" size="sm">
          Change that in the settings
        </Anchor>
      )}
    </Text>
  )
}

function Counts({
  integrations,
}: {
  readonly integrations: readonly { readonly id: string; readonly name: string }[]
}) {
  const histories = useQueries({
    queries: integrations.map(({ id }) => ({
      queryKey: ["history", id, "day"],
      queryFn: () =>
        given(
          waybill.GET("/v1/integrations/{id}/history", {
            params: { path: { id }, query: { interval: "day" as const } },
          }),
        ),
      staleTime: 60_000,
    })),
  })
  const failed = histories.find(({ error }) => error !== null)?.error
  if (failed) return <Trouble error={failed} again={() => histories.forEach(history => void history.refetch())} />
  if (histories.some(({ data }) => data === undefined)) return <Lines count={integrations.length} />
  const totals = histories.flatMap(({ data }) => (data === undefined ? [] : [data.totals]))
  const sum = (name: "success" | "error" | "skipped") => totals.reduce((all, each) => all + each[name], 0)
  return (
    <Table.ScrollContainer minWidth={680}>
      <Table aria-label="Attempts of the last 30 days">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Integration</Table.Th>
            <Table.Th>By day</Table.Th>
            <Table.Th ta="right">Successes</Table.Th>
            <Table.Th ta="right">Errors</Table.Th>
            <Table.Th ta="right">Skipped</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {integrations.map(({ id, name }, i) => {
            const total = histories[i]?.data?.totals
            return (
              <Table.Tr key={id}>
                <Table.Td maw={260}>
                  <Anchor component={Link} to={`/integrations/${id}`} className="wrap-anywhere">
                    {name}
                  </Anchor>
                </Table.Td>
                <Table.Td w={220}>
                  <Suspense fallback={null}>
                    <Spark integration={id} name={name} />
                  </Suspense>
                </Table.Td>
                <Table.Td ta="right">{total?.success.toLocaleString()}</Table.Td>
                <Table.Td ta="right">{total?.error.toLocaleString()}</Table.Td>
                <Table.Td ta="right">{total?.skipped.toLocaleString()}</Table.Td>
              </Table.Tr>
            )
          })}
        </Table.Tbody>
        <Table.Tfoot>
          <Table.Tr>
            <Table.Th>All {integrations.length} shown</Table.Th>
            <Table.Td />
            <Table.Th ta="right">{sum("success").toLocaleString()}</Table.Th>
            <Table.Th ta="right">{sum("error").toLocaleString()}</Table.Th>
            <Table.Th ta="right">{sum("skipped").toLocaleString()}</Table.Th>
          </Table.Tr>
        </Table.Tfoot>
      </Table>
    </Table.ScrollContainer>
  )
}
