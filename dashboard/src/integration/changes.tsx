/** Who changed what on an integration, and when: each revision with the places that differ. */
import { Code, Stack, Table, Text, Timeline } from "@mantine/core"
import { useInfiniteQuery, useQuery } from "@tanstack/react-query"
import { given } from "waybill-sdk"
import { useMay } from "../parts/access.tsx"
import { useKnownNames } from "../parts/actors.tsx"
import { visible } from "../parts/code.tsx"
import { LinkTo } from "../parts/link.tsx"
import { Moment } from "../parts/moment.tsx"
import { More } from "../parts/more.tsx"
import { Answered } from "../parts/page.tsx"
import { IdLink } from "../parts/place.tsx"
import { type Answer, sessionQuery, waybill } from "../waybill.ts"
import { isObject, type Tagged } from "./data.ts"
import { type ChangeText, changeTextsOf } from "./revision-texts.ts"

/** Longer values stand in the settings. */
const MOST_CHARACTERS = 400

export function IntegrationChanges({ integration: { id } }: Tagged) {
  const may = useMay()
  const query = useInfiniteQuery({
    queryKey: ["integration", id, "revisions"],
    queryFn: async ({ pageParam }) => {
      const text = await given(
        waybill.GET("/v1/integrations/{id}/revisions", {
          params: { path: { id }, query: { limit: 20, ...(pageParam && { cursor: pageParam }) } },
          parseAs: "text",
        }),
      )
      return { ...(JSON.parse(text) as Answer<"/v1/integrations/{id}/revisions">), texts: changeTextsOf(text) }
    },
    initialPageParam: "",
    getNextPageParam: last => last.next_cursor,
  })
  return (
    <Answered query={query}>
      {({ pages }) => (
        <Stack>
          <Text size="sm" c="dimmed">
            Each save of settings is a revision. Switching on and off, pausing and new secrets stand in the{" "}
            {may("admin") ? (
              <LinkTo to="/audit-log" search={{ subject: id }} size="sm" underline="always">
                audit log
              </LinkTo>
            ) : (
              "audit log, which an owner or admin reads"
            )}
            .
          </Text>
          <Timeline bulletSize={18} lineWidth={2}>
            {pages
              .flatMap(({ data, texts }) => data.map((each, i) => ({ ...each, texts: texts[i] ?? [] })))
              .map(({ revision, at, by, changes, texts }) => (
                <Timeline.Item key={revision} title={revision === 1 ? "Made (revision 1)" : `Revision ${revision}`}>
                  <Stack gap={6}>
                    <Text size="sm" component="div" className="linked">
                      <Moment at={at} style="full" /> by <Who by={by} />
                    </Text>
                    <Changed changes={changes} texts={texts} revision={revision} />
                  </Stack>
                </Timeline.Item>
              ))}
          </Timeline>
          <More query={query} what="revisions" />
        </Stack>
      )}
    </Answered>
  )
}

function Who({ by: { kind, id } }: { readonly by: { readonly kind: string; readonly id: string | null } }) {
  const { data: session } = useQuery(sessionQuery)
  const { actors } = useKnownNames()
  if (id === session?.person.id) return <>you</>
  const words = kind === "api_key" ? "the API key " : kind === "waybill" ? "Waybill" : ""
  return (
    <>
      {words}
      {id !== null && kind !== "waybill" && <IdLink id={id} name={actors.get(id) ?? id} />}
    </>
  )
}

function Changed({
  changes,
  texts,
  revision,
}: {
  readonly changes: readonly { readonly pointer: string; readonly from: unknown; readonly to: unknown }[]
  readonly texts: readonly ChangeText[]
  readonly revision: number
}) {
  if (changes.length === 0) return <Text size="sm">Saved as it was.</Text>
  return (
    <Table.ScrollContainer minWidth={520}>
      <Table verticalSpacing={4} aria-label={`Changes of revision ${revision}`}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Where</Table.Th>
            {revision > 1 && <Table.Th>Before</Table.Th>}
            <Table.Th>{revision > 1 ? "After" : "Value"}</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {changes.map(({ pointer, from, to }, i) => (
            <Table.Tr key={pointer}>
              <Table.Td className="wrap-anywhere">
                <Code>{pointer}</Code>
              </Table.Td>
              {revision > 1 && (
                <Table.Td className="wrap-anywhere mono">
                  <Value value={from} text={texts[i]?.from} />
                </Table.Td>
              )}
              <Table.Td className="wrap-anywhere mono">
                <Value value={to} text={texts[i]?.to} isNew={revision > 1 && isSecret(from) && isSecret(to)} />
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  )
}

/** `text` is how it is written in JSON. */
function Value({
  value,
  text: written,
  isNew = false,
}: {
  readonly value: unknown
  readonly text: string | undefined
  readonly isNew?: boolean
}) {
  if (value === null || value === undefined)
    return (
      <Text span size="sm" c="dimmed" fs="italic">
        nothing
      </Text>
    )
  if (isSecret(value))
    return (
      <Text span size="sm" fs="italic">
        {isNew ? "another secret" : "a secret"}
      </Text>
    )
  const text = typeof value === "string" ? value : (written ?? JSON.stringify(value))
  return <>{visible(text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)}…` : text)}</>
}

function isSecret(value: unknown): boolean {
  return isObject(value) && value["set"] === true && Object.keys(value).length === 1
}
