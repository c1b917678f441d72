/** Erases a person: asks first, says what goes and what stays, then how far it is and what it came to. */
import { Alert, Code, Group, List, Loader, Stack, Text } from "@mantine/core"
import { useQuery } from "@tanstack/react-query"
import { given } from "waybill-sdk"
import { type Answer, queries, waybill } from "../waybill.ts"
import { visible } from "./code.tsx"
import { Confirm } from "./confirm.tsx"
import { Moment } from "./moment.tsx"
import { Answered } from "./page.tsx"

const REFRESH_MS = 1_000

type Report = Answer<"/v1/erasures/{id}">["report"]

/** In the order in which they are told. */
const words: readonly (readonly [keyof Report, string, string])[] = [
  ["events", "event", "events"],
  ["deliveries", "delivery of those", "deliveries of those"],
  [
    "deliveries_ended",
    "of them still waited, and is not sent any more",
    "of them still waited, and are not sent any more",
  ],
  ["attempts", "attempt", "attempts"],
  ["payloads", "payload", "payloads"],
  ["exchanges", "request with its answer", "requests with their answers"],
  ["search_entries", "entry of the search index", "entries of the search index"],
  [
    "leftovers",
    "attempt or entry without its event, theirs or another's",
    "attempts or entries without their event, theirs or others'",
  ],
  ["rejections", "refused request that named them", "refused requests that named them"],
  ["inbox_requests", "request in an inbox", "requests in inboxes"],
]

/** The button. `begun` is told the id of the erasure. */
export function Erase({ profile, begun }: { readonly profile: string; readonly begun: (id: string) => void }) {
  return (
    <Confirm
      label="Erase this person"
      title="Erase this person for good?"
      action="Erase them"
      run={async () => {
        const { data } = await waybill.POST("/v1/erasures", { body: { profile_id: profile } })
        if (data !== undefined) begun(data.id)
      }}
    >
      <Stack gap="xs">
        <Text size="sm">
          All that is kept of the events with the profile <Code className="wrap-anywhere">{visible(profile)}</Code>{" "}
          goes: payloads, deliveries, requests and answers, and refused and inbox requests that name it. What waits is
          not sent any more. Nothing brings it back but a backup.
        </Text>
        <Text size="sm">
          What was delivered stays with its receivers: tell them first. Counts by the hour stay, which name nobody, and
          one entry in the audit log without the id. What comes in later is kept again.
        </Text>
      </Stack>
    </Confirm>
  )
}

/** How far an erasure is. */
export function Erasure({ id }: { readonly id: string }) {
  const query = useQuery({
    queryKey: ["erasure", id],
    queryFn: async () => {
      const erasure = await given(waybill.GET("/v1/erasures/{id}", { params: { path: { id } } }))
      // What was read of the person before is not shown again.
      if (erasure.state === "done") await queries.invalidateQueries({ queryKey: ["events"] })
      return erasure
    },
    refetchInterval: ({ state }) => (state.data?.state === "done" ? false : REFRESH_MS),
  })
  return (
    <Answered query={query}>
      {({ state, finished_at: finished, report }) => (
        <Alert
          variant="light"
          title={state === "done" ? "This person is erased" : "This person is being erased"}
          role="status"
        >
          <Stack gap="xs">
            <Group gap="xs">
              {state === "running" && <Loader size="xs" aria-hidden />}
              <Text size="sm" component="div">
                {finished === null ? (
                  "It goes on without this page. Gone so far:"
                ) : (
                  <>
                    Done <Moment at={finished} style="full" />, as <span className="mono">{id}</span>. Gone are:
                  </>
                )}
              </Text>
            </Group>
            <List size="sm">
              {words.map(([name, one, many]) =>
                report[name] === 0 ? null : (
                  <List.Item key={name}>
                    {report[name].toLocaleString()} {report[name] === 1 ? one : many}
                  </List.Item>
                ),
              )}
              {words.every(([name]) => report[name] === 0) && <List.Item>nothing: there was nothing of them</List.Item>}
            </List>
          </Stack>
        </Alert>
      )}
    </Answered>
  )
}
