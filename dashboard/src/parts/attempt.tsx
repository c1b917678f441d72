/** One attempt: what went out, what came back, where the time went and what it was signed over. */
import { Badge, Group, Stack, Table, Tabs, Text } from "@mantine/core"
import { useQuery } from "@tanstack/react-query"
import { integrationQuery } from "../integration/data.ts"
import type { Answer } from "../waybill.ts"
import { useMay } from "./access.tsx"
import { addressOf } from "./address.ts"
import { Payload, visible } from "./code.tsx"
import { CopyText } from "./copied.tsx"
import { curlOf } from "./curl.ts"
import { Moment } from "./moment.tsx"
import { Signature } from "./signature.tsx"
import { TimingsBar } from "./timings.tsx"

export type FullAttempt = Answer<"/v1/deliveries/{id}">["attempts"][number]

/** What came of it in a few words: the answer's status, or why there is none. */
export function outcomeWord({ outcome, status, error }: Pick<FullAttempt, "outcome" | "status" | "error">): string {
  if (outcome === "interrupted") return "Interrupted"
  if (outcome === "sender_fault") return "Waybill's own fault"
  if (status !== null) return `Answered ${status}`
  return error === null ? "No answer" : error.class
}

export function AttemptDetail({
  attempt,
  integration,
}: {
  readonly attempt: FullAttempt
  /** To which it went; null where that one is gone. */
  readonly integration: string | null
}) {
  const { request, response, error, timings, url } = attempt
  const may = useMay()
  const { data: found } = useQuery({
    ...integrationQuery(integration ?? ""),
    enabled: integration !== null && request !== null && may("integrations:read"),
  })
  const address = addressOf(url, found?.integration.config)
  return (
    <Stack gap="sm">
      <Group gap="md">
        <Text size="sm">
          Started <Moment at={attempt.started_at} style="full" />
        </Text>
        {url !== null && (
          <Text size="sm" className="wrap-anywhere">
            to <span className="mono">{visible(url)}</span>
          </Text>
        )}
        <Text size="sm" c="dimmed">
          Integration's revision {attempt.revision}
          {attempt.process !== "" && `, by the process ${attempt.process}`}
        </Text>
      </Group>
      {error !== null && (
        <Text size="sm" className="wrap-anywhere">
          No answer came: {visible(error.message)} It broke off in the phase “{error.phase}”
          {error.code !== "" && ` (${error.code})`}.
        </Text>
      )}
      {timings !== null && <TimingsBar timings={timings} />}
      <Missing attempt={attempt} />
      {request !== null && (
        <Tabs defaultValue={response === null ? "request" : "response"} keepMounted={false}>
          <Tabs.List>
            {response !== null && <Tabs.Tab value="response">Answer</Tabs.Tab>}
            <Tabs.Tab value="request">Request</Tabs.Tab>
            <Tabs.Tab value="signature">Signature</Tabs.Tab>
          </Tabs.List>
          {response !== null && (
            <Tabs.Panel value="response" pt="sm">
              <Stack gap="sm">
                <Text size="sm">
                  Status <b>{response.status}</b>
                  {attempt.truncated && ". The body was longer than what is kept of it"}
                  {attempt.incomplete && ". The body was cut off"}.
                </Text>
                <Headers headers={response.headers} label="Headers of the answer" />
                <Body {...response} name={`${attempt.id}-answer.txt`} label="Body of the answer" />
              </Stack>
            </Tabs.Panel>
          )}
          <Tabs.Panel value="request" pt="sm">
            <Stack gap="sm">
              <Text size="sm" className="mono wrap-anywhere">
                POST {url === null ? "(its address is not known)" : visible(url)}
              </Text>
              <Headers headers={request.headers} label="Headers of the request" />
              <Body {...request} name={`${attempt.id}-request.json`} label="Body of the request" />
              {address !== undefined && request.body_encoding !== "base64" && (
                <Group gap="xs">
                  <CopyText
                    text={curlOf({ ...request, url: address.url, headers: sendable(request.headers) })}
                    label="Copy as curl"
                  />
                  <Text size="xs" c="dimmed">
                    Secret headers stand in it as $SECRET. The signature is that of this attempt, and grows old in five
                    minutes.{" "}
                    {address.hasQuery &&
                      "The query of the endpoint's URL is left out, since it may hold a secret: add it. "}
                    {address.isGuessed &&
                      `Its integration has no endpoint on this host any more: whether it was ${address.url.replace(/:.*/, "")} is a guess, and a query is left out.`}
                  </Text>
                </Group>
              )}
            </Stack>
          </Tabs.Panel>
          <Tabs.Panel value="signature" pt="sm">
            <Signature request={{ ...request, url: address?.url ?? "https://unknown.invalid/" }} />
          </Tabs.Panel>
        </Tabs>
      )}
    </Stack>
  )
}

/** Why request and answer are not there. */
function Missing({ attempt }: { readonly attempt: FullAttempt }) {
  if (attempt.exchange_hidden) {
    return (
      <Text size="sm">
        Request and answer are hidden: reading them needs the scope <code>payloads:read</code>. Ask an admin of the
        project for a role that has it.
      </Text>
    )
  }
  if (attempt.exchange_expired) {
    return (
      <Text size="sm">
        Request and answer were kept until <Moment at={attempt.exchange_expires_at} style="full" />, and are gone.
      </Text>
    )
  }
  if (attempt.request !== null) return null
  return <Text size="sm">Nothing of the request was kept.</Text>
}

function Headers({
  headers,
  label,
}: {
  readonly headers: readonly { readonly name: string; readonly value: string | null }[]
  readonly label: string
}) {
  if (headers.length === 0) return null
  return (
    <Table aria-label={label} verticalSpacing={3} fz="sm" layout="fixed">
      <Table.Thead>
        <Table.Tr>
          <Table.Th w="34%">{label}</Table.Th>
          <Table.Th>Value</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {headers.map(({ name, value }, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: a header may come twice, and none of them moves
          <Table.Tr key={i}>
            <Table.Td className="mono wrap-anywhere">{visible(name)}</Table.Td>
            <Table.Td className="mono wrap-anywhere">
              {value === null ? (
                <Badge variant="light" color="gray" tt="none">
                  secret
                </Badge>
              ) : (
                visible(value)
              )}
            </Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  )
}

function Body({
  body,
  body_encoding,
  name,
  label,
}: {
  readonly body: string | null
  readonly body_encoding: string | null
  readonly name: string
  readonly label: string
}) {
  if (body === null) return <Text size="sm">{label}: not kept.</Text>
  if (body === "") return <Text size="sm">{label}: empty.</Text>
  return (
    <Stack gap={4}>
      {body_encoding === "base64" && <Text size="sm">{label} is no text; it stands here as base64.</Text>}
      <Payload text={body} name={name} label={label} />
    </Stack>
  )
}

/** Those that curl does not make itself. */
function sendable<Header extends { readonly name: string }>(headers: readonly Header[]): Header[] {
  return headers.filter(({ name }) => !["host", "connection", "content-length"].includes(name.toLowerCase()))
}
