/** What an inbox got: each request as it came, newest first, whether its signature was right, and what it was answered. */
import { Accordion, Group, Stack, Text } from "@mantine/core"
import { useInfiniteQuery } from "@tanstack/react-query"
import { useState } from "react"
import { given } from "waybill-sdk"
import { useMay } from "../parts/access.tsx"
import { Confirm } from "../parts/confirm.tsx"
import { Copied } from "../parts/copied.tsx"
import { LinkTo } from "../parts/link.tsx"
import { lasting, Moment } from "../parts/moment.tsx"
import { More } from "../parts/more.tsx"
import { Answered, Empty } from "../parts/page.tsx"
import { IdLink } from "../parts/place.tsx"
import { ColourBadge } from "../parts/status.tsx"
import { type Answer, queries, waybill } from "../waybill.ts"
import type { Tagged } from "./data.ts"
import { Message } from "./exchange.tsx"

type Page = Answer<"/v1/integrations/{id}/inbox">
type Got = Page["data"][number]

/** Bodies may be a MiB each. */
const PAGE = 20
/** What others send to its address stands in no stream. */
const REFRESH_MS = 5_000

export function IntegrationInbox({ integration: { id, name } }: Tagged) {
  const may = useMay()
  const [opened, open] = useState<string | null>(null)
  const query = useInfiniteQuery({
    queryKey: ["integration", id, "inbox"],
    queryFn: ({ pageParam }) =>
      given(
        waybill.GET("/v1/integrations/{id}/inbox", {
          params: { path: { id }, query: { limit: PAGE, ...(pageParam && { cursor: pageParam }) } },
        }),
      ),
    initialPageParam: "",
    getNextPageParam: last => last.next_cursor,
    refetchInterval: REFRESH_MS,
  })
  return (
    <Answered query={query}>
      {({ pages }) => {
        const requests = pages.flatMap(({ data }) => data)
        const url = pages[0]?.url ?? ""
        return (
          <Stack>
            <Group justify="space-between" align="flex-start">
              <Stack gap={2} maw={720}>
                <Text size="sm">
                  The last 1,000 requests, for 7 days. Others reach it at this address too; whoever knows it may send
                  there, without a key:
                </Text>
                <Copied text={url} />
              </Stack>
              {may("integrations:write") && requests.length > 0 && (
                <Confirm
                  label="Empty the inbox"
                  title={`Empty ${name}?`}
                  action="Empty it"
                  run={async () => {
                    await waybill.DELETE("/v1/integrations/{id}/inbox", { params: { path: { id } } })
                    await queries.invalidateQueries({ queryKey: ["integration", id, "inbox"] })
                  }}
                >
                  What it got is gone for good, and its script of answers begins anew. Deliveries and their attempts
                  stay.
                </Confirm>
              )}
            </Group>
            {requests.length === 0 ? (
              <Nothing id={id} />
            ) : (
              <Accordion variant="separated" order={2} value={opened} onChange={open}>
                {requests.map(request => (
                  <Accordion.Item key={request.id} value={request.id}>
                    <Accordion.Control>
                      <Line request={request} />
                    </Accordion.Control>
                    <Accordion.Panel>{opened === request.id && <Whole request={request} url={url} />}</Accordion.Panel>
                  </Accordion.Item>
                ))}
              </Accordion>
            )}
            <More query={query} what="requests" />
          </Stack>
        )
      }}
    </Answered>
  )
}

function Nothing({ id }: { readonly id: string }) {
  const may = useMay()
  return (
    <Empty title="Nothing has come yet">
      Send an event that it takes, and the request stands here as it went out, within a second.{" "}
      {may("integrations:write") && (
        <>
          Or{" "}
          <LinkTo to="/integrations/$id" params={{ id }} search={{ tab: "test" }} size="sm" underline="always">
            send it a test event
          </LinkTo>
          .{" "}
        </>
      )}
      Should an event not come, its page says why.
    </Empty>
  )
}

function Line({
  request: { at, method, event, attempt, signature, body_bytes: bytes, answer },
}: {
  readonly request: Got
}) {
  return (
    <Group gap="xs">
      <Verdict verdict={signature.verdict} />
      <Text size="sm" fw={600}>
        {method}
      </Text>
      <Text size="sm" className="wrap-anywhere">
        {event ?? "Of no event"}
        {attempt !== null && `, attempt ${attempt}`}
      </Text>
      <Text size="sm" c="dimmed">
        {new Date(at).toLocaleString()}, {bytes.toLocaleString()} bytes, {wordOf(answer)}
      </Text>
    </Group>
  )
}

function wordOf({ status, delay_ms: delayMs, state }: Got["answer"]): string {
  const delay = delayMs === 0 ? "" : ` after ${lasting(delayMs)}`
  switch (state) {
    case "waiting":
      return `will be answered ${status}${delay}`
    case "sent":
      return `answered ${status}${delay}`
    case "not_sent":
      return `gone before it was answered ${status}${delay}`
  }
}

function Verdict({ verdict }: { readonly verdict: Got["signature"]["verdict"] }) {
  switch (verdict) {
    case "valid":
      return <ColourBadge colour="green" word="Signature valid" />
    case "not_signed":
      return <ColourBadge colour="grey" word="Not signed" />
    case "not_checked":
      return <ColourBadge colour="grey" word="Not checked" />
    default:
      return <ColourBadge colour="red" word="Signature not valid" />
  }
}

function Whole({ request, url }: { readonly request: Got; readonly url: string }) {
  const { event, at, signature, body_encoding, body_truncated } = request
  return (
    <Stack>
      <Text size="sm" component="div" className="linked">
        {event !== null && (
          <>
            Event <IdLink id={event} />,{" "}
          </>
        )}
        <Moment at={at} style="full" />. {signature.message}
      </Text>
      {body_encoding === "base64" && <Text size="sm">The body is no text; it stands here as base64.</Text>}
      {body_truncated && <Text size="sm">The body was longer than what is kept of it.</Text>}
      <Message
        title="Request"
        line={`${request.method} ${url}`}
        headers={request.headers}
        body={request.body}
        name={body_encoding === "base64" ? "request.txt" : "request.json"}
      />
    </Stack>
  )
}
