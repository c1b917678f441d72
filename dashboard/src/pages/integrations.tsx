/** The list of integrations: what each is, whether it is on, and how it does. */
import { Anchor, Button, Group, Stack, Table, Text, TextInput } from "@mantine/core"
import { IconPlus, IconSearch } from "@tabler/icons-react"
import { useInfiniteQuery, useQuery } from "@tanstack/react-query"
import { Link } from "@tanstack/react-router"
import { lazy, Suspense } from "react"
import { given } from "waybill-sdk"
import { catalogueQuery, environmentsOf, type Integration, type Json } from "../integration/data.ts"
import { StateBadge } from "../integration/state.tsx"
import { VerificationBadge } from "../integration/verification.tsx"
import { Guarded, useMay } from "../parts/access.tsx"
import { Moment } from "../parts/moment.tsx"
import { More } from "../parts/more.tsx"
import { Answered, Empty, Page } from "../parts/page.tsx"
import { Reason } from "../parts/reason.tsx"
import { useFilters } from "../parts/search.ts"
import { Badge } from "../parts/status.tsx"
import { portal } from "../portal.ts"
import { restingLook } from "../status.ts"
import { type Answer, waybill } from "../waybill.ts"

const Spark = lazy(() => import("../parts/spark.tsx").then(({ Spark: component }) => ({ default: component })))

const REFRESH_MS = 10_000

type Diagnosis = Answer<"/v1/diagnosis">["data"][number]

export function Integrations() {
  return (
    <Guarded scope="integrations:read" title="Integrations">
      <List />
    </Guarded>
  )
}

function List() {
  const may = useMay()
  const { search: filters, set } = useFilters()
  const { search = "" } = filters
  const query = useInfiniteQuery({
    queryKey: ["integrations"],
    queryFn: ({ pageParam }) =>
      given(
        waybill.GET("/v1/integrations", { params: { query: { limit: 100, ...(pageParam && { cursor: pageParam }) } } }),
      ),
    initialPageParam: "",
    getNextPageParam: last => last.next_cursor,
    refetchInterval: REFRESH_MS,
  })
  return (
    <Page
      title="Integrations"
      lead="Where events go, and how each of them does."
      actions={
        may("integrations:write") && (
          <Button component={Link} to="/integrations/new" leftSection={<IconPlus size={16} />}>
            New integration
          </Button>
        )
      }
    >
      <Answered query={query}>
        {({ pages }) => {
          const all = pages.flatMap(({ data }) => data)
          const found = all.filter(each => textOf(each).includes(search.toLowerCase()))
          if (all.length === 0) {
            return (
              <Empty title="No integrations yet">
                Events come in and go nowhere.{" "}
                {may("integrations:write") ? (
                  <>
                    <Anchor component={Link} to="/integrations/new">
                      Set up an integration
                    </Anchor>{" "}
                    to have them delivered.
                  </>
                ) : portal === null ? (
                  "Ask a developer or an admin of the project to set one up."
                ) : (
                  "Ask whoever gave you this view to set one up."
                )}
              </Empty>
            )
          }
          return (
            <Stack>
              <TextInput
                label="Search"
                placeholder="Name, id, connector or host"
                leftSection={<IconSearch size={16} />}
                value={search}
                onChange={({ currentTarget }) => set({ search: currentTarget.value }, "quietly")}
                maw={380}
              />
              {found.length === 0 ? (
                <Empty title="No integration fits">
                  Of those shown none has “{search}” in its name, id, connector or host. Shorten the search.
                </Empty>
              ) : (
                <Rows integrations={found} />
              )}
              <More query={query} what="integrations" />
            </Stack>
          )
        }}
      </Answered>
    </Page>
  )
}

function Rows({ integrations }: { readonly integrations: readonly Integration[] }) {
  const { data: diagnoses } = useQuery({
    queryKey: ["diagnosis", "by-integration"],
    queryFn: diagnosesById,
    refetchInterval: REFRESH_MS,
  })
  const { data: catalogue } = useQuery(catalogueQuery)
  return (
    <Table.ScrollContainer minWidth={860}>
      <Table aria-label="Integrations">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Integration</Table.Th>
            <Table.Th>State</Table.Th>
            <Table.Th>How it is</Table.Th>
            <Table.Th>Endpoints</Table.Th>
            <Table.Th>Last 30 days</Table.Th>
            <Table.Th>Changed</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {integrations.map(integration => {
            const { id, name, connector, verification, updated_at } = integration
            const diagnosis = diagnoses?.get(id)
            return (
              <Table.Tr key={id}>
                <Table.Td>
                  <Anchor component={Link} to={`/integrations/${id}`} fw={600} className="wrap-anywhere">
                    {name}
                  </Anchor>
                  <Text size="xs" c="dimmed">
                    {catalogue?.data.find(each => each.name === connector)?.title ?? connector}
                  </Text>
                </Table.Td>
                <Table.Td>
                  <StateBadge integration={integration} />
                </Table.Td>
                <Table.Td>
                  <Group gap={6}>
                    {diagnosis === undefined ? "…" : <Reason reason={withoutCode(diagnosis.verdict)} />}
                    {diagnosis?.resting === true && <Badge look={restingLook} />}
                  </Group>
                </Table.Td>
                <Table.Td>
                  <Stack gap={4}>
                    {environmentsOf(integration).map(environment => {
                      const state = verification[environment]?.state
                      return (
                        <Group key={environment} gap={6}>
                          <Text size="sm" className="wrap-anywhere">
                            {hostOf(integration, environment) ?? "Inside Waybill"}
                          </Text>
                          {state !== undefined && state !== "not_required" && state !== "verified" && (
                            <VerificationBadge state={state} />
                          )}
                          {environment === "sandbox" && (
                            <Text size="xs" c="dimmed">
                              sandbox
                            </Text>
                          )}
                        </Group>
                      )
                    })}
                  </Stack>
                </Table.Td>
                <Table.Td w={220}>
                  <Suspense fallback={null}>
                    <Spark integration={id} name={name} />
                  </Suspense>
                </Table.Td>
                <Table.Td>
                  <Moment at={updated_at} style="ago" />
                </Table.Td>
              </Table.Tr>
            )
          })}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  )
}

/** Of all integrations, by their ids. */
async function diagnosesById(): Promise<Map<string, Diagnosis>> {
  const found = new Map<string, Diagnosis>()
  let cursor: string | null = ""
  while (cursor !== null) {
    const query = { limit: 50, ...(cursor !== "" && { cursor }) }
    const page: Answer<"/v1/diagnosis"> = await given(waybill.GET("/v1/diagnosis", { params: { query } }))
    for (const diagnosis of page.data) found.set(diagnosis.integration.id, diagnosis)
    cursor = page.next_cursor
  }
  return found
}

function hostOf({ config }: Integration, environment: string): string | undefined {
  const url = ((config as Json)[environment] as { url?: unknown } | undefined)?.url
  return typeof url === "string" ? (URL.parse(url)?.host ?? url) : undefined
}

function textOf(integration: Integration): string {
  const hosts = environmentsOf(integration).map(environment => hostOf(integration, environment) ?? "")
  return [integration.name, integration.id, integration.connector, ...hosts].join(" ").toLowerCase()
}

/** A verdict's code names no reason. */
function withoutCode<Verdict extends { readonly code: string }>({ code: _, ...words }: Verdict): Omit<Verdict, "code"> {
  return words
}
