/** A request and what came back, as they went over the wire: lines of headers, then the body. */
import { SimpleGrid, Stack, Text, Title } from "@mantine/core"
import { Payload } from "../parts/code.tsx"
import { lasting } from "../parts/moment.tsx"
import type { Verification } from "./data.ts"

/** A header; null where it is secret. */
export interface HeaderView {
  readonly name: string
  readonly value: string | null
}

/** One message with its first line, its headers and its body. */
export function Message({
  title,
  line,
  headers,
  body,
  name,
  order = 3,
}: {
  readonly title: string
  readonly line: string
  readonly headers: readonly HeaderView[]
  readonly body: string | null
  /** What the body is called when it is downloaded. */
  readonly name: string
  /** Level of its heading. */
  readonly order?: 2 | 3
}) {
  return (
    <Stack gap="xs">
      <Title order={order} size="h5">
        {title}
      </Title>
      <Text size="sm" className="mono wrap-anywhere">
        {line}
      </Text>
      {headers.length > 0 && (
        <ul className="plain-list mono">
          {headers.map(({ name: header, value }, i) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: a header may stand there twice, and the list never changes
            <li key={`${header} ${i}`} className="wrap-anywhere">
              {header}: {value ?? <i>secret, not shown</i>}
            </li>
          ))}
        </ul>
      )}
      {body === null || body === "" ? (
        <Text size="sm" c="dimmed">
          No body.
        </Text>
      ) : (
        <Payload text={body} name={name} label={title} />
      )}
    </Stack>
  )
}

/** An attempt's request and answer side by side where there is room. */
export interface ExchangeView {
  readonly url: string | null
  readonly request: { readonly headers: readonly HeaderView[]; readonly body: string | null } | null
  readonly response: {
    readonly status: number
    readonly headers: readonly HeaderView[]
    readonly body: string | null
  } | null
  readonly error: { readonly class: string; readonly phase: string; readonly message: string } | null
  readonly exchange_hidden: boolean
  readonly exchange_expired: boolean
  readonly truncated?: boolean
}

export function Exchange({ attempt }: { readonly attempt: ExchangeView }) {
  const { request, response, error, url } = attempt
  if (attempt.exchange_hidden) {
    return (
      <Text size="sm" c="dimmed">
        Your role does not show requests and answers. Ask an admin for one with payloads:read.
      </Text>
    )
  }
  if (attempt.exchange_expired) {
    return (
      <Text size="sm" c="dimmed">
        Request and answer are no longer kept.
      </Text>
    )
  }
  return (
    <SimpleGrid cols={{ base: 1, md: 2 }}>
      {request !== null && (
        <Message
          title="Request"
          line={`POST ${url ?? ""}`}
          headers={request.headers}
          body={request.body}
          name="request.json"
        />
      )}
      {response === null ? (
        <Stack gap="xs">
          <Title order={3} size="h5">
            No answer
          </Title>
          <Text size="sm">{error === null ? "None came." : `${error.class} (${error.phase}): ${error.message}`}</Text>
        </Stack>
      ) : (
        <Message
          title={attempt.truncated === true ? "Answer (its beginning)" : "Answer"}
          line={`Status ${response.status}`}
          headers={response.headers}
          body={response.body}
          name="answer.txt"
        />
      )}
    </SimpleGrid>
  )
}

/** What an endpoint answered to its verification: all of it, or the error that came instead. */
export function VerificationAnswer({
  answer,
  environment,
}: {
  readonly answer: Verification["answer"]
  readonly environment: string
}) {
  if (typeof answer !== "object" || answer === null) return null
  const { status, headers, body, took_ms, message, class: kind } = answer as Readonly<Record<string, unknown>>
  if (typeof status !== "number") {
    return (
      <Text size="sm" className="wrap-anywhere">
        No answer came. {[kind, message].filter(text => typeof text === "string").join(": ")}
      </Text>
    )
  }
  const pairs = Array.isArray(headers) ? (headers as [string, string][]) : []
  return (
    <Message
      title={`Answer of ${environment}`}
      line={`Status ${status}${typeof took_ms === "number" ? `, after ${lasting(took_ms)}` : ""}`}
      headers={pairs.map(([name, value]) => ({ name, value }))}
      body={typeof body === "string" ? body : null}
      name="answer.txt"
    />
  )
}
