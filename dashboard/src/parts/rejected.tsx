/** What ingest refused: the answer to "we sent it, but it is not here". */
import { Code, Stack, Table, Text } from "@mantine/core"
import { useQuery } from "@tanstack/react-query"
import { given } from "waybill-sdk"
import { type Answer, waybill } from "../waybill.ts"
import { visible } from "./code.tsx"
import { Moment } from "./moment.tsx"
import { Answered } from "./page.tsx"
import { Sentence } from "./sentence.tsx"

/** So many of the refused requests are asked for at a time; a project keeps 1,000. */
const PAGE = 200
const SHOWN = 20

/** Those refused between two times, RFC 3339; those that hold one of `texts` come first. */
export function Rejected({
  from,
  to,
  texts,
}: {
  readonly from: string | undefined
  readonly to: string | undefined
  readonly texts: readonly string[]
}) {
  const query = useQuery({
    queryKey: ["rejections", "since", from],
    queryFn: () => rejectionsSince(from === undefined ? 0 : Date.parse(from)),
    refetchInterval: 15_000,
  })
  return (
    <Answered query={query}>
      {rejections => {
        const after = from === undefined ? 0 : Date.parse(from)
        const before = to === undefined ? Number.POSITIVE_INFINITY : Date.parse(to)
        const inTime = rejections.filter(({ at }) => Date.parse(at) >= after && Date.parse(at) < before)
        const holds = ({ body }: Rejection) => texts.some(text => body?.includes(text) === true)
        const shown = [...inTime.filter(holds), ...inTime.filter(each => !holds(each))].slice(0, SHOWN)
        if (shown.length === 0) {
          return (
            <Text size="sm" c="dimmed" ta="center">
              No request was refused in that time either. What was is kept for 7 days.
            </Text>
          )
        }
        return (
          <Stack gap="xs">
            <Text fw={650}>
              Refused in that time: {inTime.length} {inTime.length === 1 ? "request" : "requests"}
            </Text>
            <Text size="sm" c="dimmed">
              Such a request is not stored as an event: the sender was told why, and has to mend it and send it again.
            </Text>
            <Table.ScrollContainer minWidth={640}>
              <Table aria-label="Refused requests">
                <Table.Thead>
                  <Table.Tr>
                    <Table.Th>When</Table.Th>
                    <Table.Th>Answer</Table.Th>
                    <Table.Th>Why</Table.Th>
                    <Table.Th>What came</Table.Th>
                  </Table.Tr>
                </Table.Thead>
                <Table.Tbody>
                  {shown.map(each => (
                    <Table.Tr key={each.id}>
                      <Table.Td>
                        <Moment at={each.at} />
                      </Table.Td>
                      <Table.Td>{each.status}</Table.Td>
                      <Table.Td className="wrap-anywhere">
                        <Sentence text={visible(each.detail)} />
                      </Table.Td>
                      <Table.Td maw={320}>
                        <Body {...each} />
                      </Table.Td>
                    </Table.Tr>
                  ))}
                </Table.Tbody>
              </Table>
            </Table.ScrollContainer>
            {inTime.length > SHOWN && (
              <Text size="sm" c="dimmed">
                And {inTime.length - SHOWN} more.
              </Text>
            )}
          </Stack>
        )
      }}
    </Answered>
  )
}

type Rejection = Answer<"/v1/rejections">["data"][number]

/** Those refused since a time, ms since 1970, newest first. */
async function rejectionsSince(since: number): Promise<Rejection[]> {
  const all: Rejection[] = []
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const query = { limit: PAGE, ...(cursor && { cursor }) }
    const page = await given(waybill.GET("/v1/rejections", { params: { query } }))
    all.push(...page.data)
    cursor = page.data.some(({ at }) => Date.parse(at) < since) ? null : page.next_cursor
  }
  return all
}

function Body({
  body,
  body_hidden,
  body_encoding,
}: {
  readonly body: string | null
  readonly body_hidden: boolean
  readonly body_encoding: string | null
}) {
  if (body_hidden) return <Text size="sm">Hidden: your role does not read payloads.</Text>
  if (body === null || body === "") return <Text size="sm">Nothing</Text>
  if (body_encoding === "base64") return <Text size="sm">Bytes that are no text</Text>
  return (
    <Code className="wrap-anywhere">
      {visible(body.slice(0, 200))}
      {body.length > 200 && "…"}
    </Code>
  )
}
