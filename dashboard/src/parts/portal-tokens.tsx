/** Tokens of the portal that are good, each with a way to end it before its time. */
import { Stack, Table, Text, Title } from "@mantine/core"
import { useInfiniteQuery } from "@tanstack/react-query"
import { given } from "waybill-sdk"
import { queries, waybill } from "../waybill.ts"
import { useKnownNames } from "./actors.tsx"
import { Confirm } from "./confirm.tsx"
import { Moment } from "./moment.tsx"
import { More } from "./more.tsx"
import { Answered } from "./page.tsx"
import { IdLink } from "./place.tsx"

const TOKENS = ["portal-tokens"]

/** Nothing at all where there is none. */
export function PortalTokens() {
  const { actors } = useKnownNames()
  const query = useInfiniteQuery({
    queryKey: TOKENS,
    queryFn: ({ pageParam }) =>
      given(
        waybill.GET("/v1/api-keys", {
          params: { query: { kind: "portal", limit: 100, ...(pageParam && { cursor: pageParam }) } },
        }),
      ),
    initialPageParam: "",
    getNextPageParam: last => last.next_cursor,
    refetchInterval: 15_000,
  })
  return (
    <Answered query={query} loading={<span />}>
      {({ pages }) => {
        const good = pages
          .flatMap(({ data }) => data)
          .filter(({ revoked_at, expires_at }) => revoked_at === null && !isPast(expires_at))
        if (good.length === 0 && !query.hasNextPage) return null
        return (
          <Stack gap="sm" component="section" aria-label="Tokens of the portal">
            <Title order={2} size="h4">
              Tokens of the portal
            </Title>
            <Text size="sm" c="dimmed">
              With each of them one of your users sees the portal of one app. They end by themselves within hours.
            </Text>
            <Table.ScrollContainer minWidth={680}>
              <Table aria-label="Tokens of the portal that are good">
                <Table.Thead>
                  <Table.Tr>
                    <Table.Th>App</Table.Th>
                    <Table.Th>May</Table.Th>
                    <Table.Th>Given</Table.Th>
                    <Table.Th>Last used</Table.Th>
                    <Table.Th>Ends</Table.Th>
                    <Table.Th>Actions</Table.Th>
                  </Table.Tr>
                </Table.Thead>
                <Table.Tbody>
                  {good.map(token => (
                    <Table.Tr key={token.id}>
                      <Table.Td maw={260}>
                        <Text size="sm" fw={600} className="wrap-anywhere">
                          {token.app}
                        </Text>
                        <Text size="xs" c="dimmed" className="mono" truncate>
                          {token.prefix}…{token.last4}
                        </Text>
                      </Table.Td>
                      <Table.Td maw={260}>{token.scopes.join(", ")}</Table.Td>
                      <Table.Td>
                        <Moment at={token.created_at} style="ago" />
                        {token.created_by !== null && (
                          <Text size="xs" c="dimmed" component="div">
                            by <IdLink id={token.created_by} name={actors.get(token.created_by) ?? token.created_by} />
                          </Text>
                        )}
                      </Table.Td>
                      <Table.Td>
                        {token.last_used_at === null ? "Never" : <Moment at={token.last_used_at} style="ago" />}
                      </Table.Td>
                      <Table.Td>
                        {token.expires_at === null ? "Never" : <Moment at={token.expires_at} style="full" />}
                      </Table.Td>
                      <Table.Td>
                        <Confirm
                          size="xs"
                          label="Revoke"
                          about={`the token …${token.last4} for ${token.app}`}
                          title={`Revoke the token for ${token.app}?`}
                          action="Revoke it now"
                          run={async () => {
                            await waybill.DELETE("/v1/portal-tokens/{id}", { params: { path: { id: token.id } } })
                            await queries.invalidateQueries({ queryKey: TOKENS })
                          }}
                        >
                          Pages that are open with it say so within 5 s and show nothing more. Your site may give its
                          user another one.
                        </Confirm>
                      </Table.Td>
                    </Table.Tr>
                  ))}
                </Table.Tbody>
              </Table>
            </Table.ScrollContainer>
            <More query={query} what="tokens" />
          </Stack>
        )
      }}
    </Answered>
  )
}

function isPast(at: string | null): boolean {
  return at !== null && Date.parse(at) <= Date.now()
}
