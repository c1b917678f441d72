/** Requests that ingest refused: what was wrong with each, and what its sender does about it. */
import { Alert, Code, Stack, Table, Text } from "@mantine/core"
import { useInfiniteQuery, useQuery } from "@tanstack/react-query"
import { given } from "waybill-sdk"
import { Guarded } from "../parts/access.tsx"
import { useKnownNames } from "../parts/actors.tsx"
import { CodeBlock, Payload } from "../parts/code.tsx"
import { Moment } from "../parts/moment.tsx"
import { More } from "../parts/more.tsx"
import { Answered, Empty, Page } from "../parts/page.tsx"
import { IdLink } from "../parts/place.tsx"
import { useFilters } from "../parts/search.ts"
import { Sentence } from "../parts/sentence.tsx"
import { UnfoldingRow } from "../parts/unfolding.tsx"
import { type Answer, waybill } from "../waybill.ts"

type Rejection = Answer<"/v1/rejections">["data"][number]

export function Rejections() {
  return (
    <Guarded scope="events:read" title="Rejected requests">
      <List />
    </Guarded>
  )
}

function List() {
  const { search, set } = useFilters()
  // In the address, so that one can be shown to somebody.
  const hand = { opened: search["open"] ?? null, open: (id: string | null) => set({ open: id ?? undefined }) }
  const { all } = useKnownNames()
  const query = useInfiniteQuery({
    queryKey: ["rejections", "pages"],
    queryFn: ({ pageParam }) =>
      given(
        waybill.GET("/v1/rejections", { params: { query: { limit: 50, ...(pageParam && { cursor: pageParam }) } } }),
      ),
    initialPageParam: "",
    getNextPageParam: last => last.next_cursor,
    refetchInterval: 15_000,
  })
  return (
    <Page
      title="Rejected requests"
      lead="What senders sent and Waybill did not take: nothing of it was stored as an event. The last 1,000, for 7 days."
    >
      <Answered query={query}>
        {({ pages }) => {
          const rejections = pages.flatMap(({ data }) => data)
          if (rejections.length === 0) {
            return (
              <Empty title="Nothing was refused in the last 7 days">
                If an event is missing all the same, its sender did not reach Waybill, or used a key of another project:
                what comes without a good key belongs to no project and is not shown here.
              </Empty>
            )
          }
          return (
            <Stack>
              <Table.ScrollContainer minWidth={760}>
                <Table aria-label="Rejected requests, newest first">
                  <Table.Thead>
                    <Table.Tr>
                      <Table.Th>When</Table.Th>
                      <Table.Th>Request</Table.Th>
                      <Table.Th>Answer</Table.Th>
                      <Table.Th>What was wrong</Table.Th>
                      <Table.Th>Key</Table.Th>
                      <Table.Th>More</Table.Th>
                    </Table.Tr>
                  </Table.Thead>
                  <Table.Tbody>
                    {rejections.map(rejection => {
                      const { id, at, request, status, code, detail, key } = rejection
                      return (
                        <UnfoldingRow
                          key={id}
                          id={id}
                          about={`what was refused at ${at}`}
                          hand={hand}
                          columns={5}
                          detail={<Detail of={rejection} />}
                        >
                          <Table.Td>
                            <Moment at={at} />
                          </Table.Td>
                          <Table.Td>
                            <code>{request}</code>
                          </Table.Td>
                          <Table.Td>
                            {status} <code>{code}</code>
                          </Table.Td>
                          <Table.Td maw={360}>
                            <Text size="sm" lineClamp={2} className="wrap-anywhere">
                              {detail}
                            </Text>
                          </Table.Td>
                          <Table.Td>{key === null ? "–" : <IdLink id={key} name={all.get(key) ?? key} />}</Table.Td>
                        </UnfoldingRow>
                      )
                    })}
                  </Table.Tbody>
                </Table>
              </Table.ScrollContainer>
              <More query={query} what="requests" />
            </Stack>
          )
        }}
      </Answered>
    </Page>
  )
}

function Detail({ of: rejection }: { readonly of: Rejection }) {
  const { code, detail, errors, body, body_hidden, body_encoding, body_bytes } = rejection
  const { data: kind } = useQuery({
    queryKey: ["problem", code],
    queryFn: () => given(waybill.GET("/problems/{code}", { params: { path: { code } } })),
    staleTime: Number.POSITIVE_INFINITY,
  })
  return (
    <Stack gap="sm" p="xs" maw={860}>
      <Text size="sm" className="wrap-anywhere">
        <Sentence text={detail} />
      </Text>
      {errors.flatMap(({ pointer, message }) =>
        message === detail
          ? []
          : [
              <Text size="sm" key={pointer + message} className="wrap-anywhere">
                <Code>{pointer === "" ? "/" : pointer}</Code> {message}
              </Text>,
            ],
      )}
      {kind !== undefined && (
        <Alert variant="default" title="What the sender does about it">
          <Text size="sm">
            <Sentence text={plain(kind.advice)} />
          </Text>
        </Alert>
      )}
      {body_hidden ? (
        <Text size="sm" c="dimmed">
          What was sent is hidden: your role does not read payloads.
        </Text>
      ) : body === null || body === "" ? (
        <Text size="sm" c="dimmed">
          Nothing of its body is kept.
        </Text>
      ) : (
        <>
          <Text size="sm" fw={600}>
            What was sent
            {body_bytes > 1_024 && `: its first KiB of ${Math.ceil(body_bytes / 1_024).toLocaleString()}`}
            {body_encoding === "base64" && ", as base64"}
          </Text>
          {body_encoding === "text" ? (
            <Payload text={body} name={`${rejection.id}.json`} label="what was sent" />
          ) : (
            <CodeBlock text={body} label="What was sent" />
          )}
        </>
      )}
    </Stack>
  )
}

/** Markdown's marks off: the words are enough here. */
function plain(markdown: string): string {
  return markdown.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1").replaceAll("`", "")
}
