/** API keys: what each may do, when it was last used, how a new one is made, and how one is taken out of use. */
import { Button, Group, Menu, Stack, Switch, Table, Text } from "@mantine/core"
import { useDisclosure } from "@mantine/hooks"
import { IconChevronDown, IconPlus } from "@tabler/icons-react"
import { useInfiniteQuery } from "@tanstack/react-query"
import { given } from "waybill-sdk"
import { Change, NewKey, Rotate, renewKeys } from "../api-keys/forms.tsx"
import { Guarded } from "../parts/access.tsx"
import { Confirm } from "../parts/confirm.tsx"
import { Moment } from "../parts/moment.tsx"
import { More } from "../parts/more.tsx"
import { Answered, Empty, Page } from "../parts/page.tsx"
import { PortalTokens } from "../parts/portal-tokens.tsx"
import { useFilters } from "../parts/search.ts"
import { ColourBadge } from "../parts/status.tsx"
import { type Answer, waybill } from "../waybill.ts"

type Key = Answer<"/v1/api-keys">["data"][number]

const KEYS = ["api-keys"]

export function ApiKeys() {
  return (
    <Guarded scope="admin" title="API keys">
      <Keys />
    </Guarded>
  )
}

function Keys() {
  const { search, set } = useFilters()
  const isAll = search["ended"] === "yes"
  const [isMaking, making] = useDisclosure(false)
  const query = useInfiniteQuery({
    queryKey: KEYS,
    queryFn: ({ pageParam }) =>
      given(
        waybill.GET("/v1/api-keys", { params: { query: { limit: 100, ...(pageParam && { cursor: pageParam }) } } }),
      ),
    initialPageParam: "",
    getNextPageParam: last => last.next_cursor,
  })
  return (
    <Page
      title="API keys"
      lead="With a key a program sends events and reads this project. Each does what its scopes say, no more."
      actions={
        <Button leftSection={<IconPlus size={16} />} onClick={making.open}>
          Make a key
        </Button>
      }
    >
      <NewKey isOpen={isMaking} close={making.close} />
      <Answered query={query}>
        {({ pages }) => {
          const all = pages.flatMap(({ data }) => data)
          const shown = isAll ? all : all.filter(key => stateOf(key).good)
          return (
            <Stack>
              <Switch
                label="Show those that have ended, too"
                checked={isAll}
                onChange={event => set({ ended: event.currentTarget.checked ? "yes" : undefined })}
              />
              {shown.length === 0 ? (
                <Empty title="No key is in use">Make one, so that programs can send events.</Empty>
              ) : (
                <KeyTable keys={shown} />
              )}
              <More query={query} what="keys" />
              <PortalTokens />
            </Stack>
          )
        }}
      </Answered>
    </Page>
  )
}

function stateOf({ revoked_at, expires_at }: Key) {
  if (revoked_at !== null) return { good: false, colour: "grey", word: "Revoked" } as const
  if (expires_at === null) return { good: true, colour: "green", word: "In use" } as const
  const leftMs = Date.parse(expires_at) - Date.now()
  if (leftMs <= 0) return { good: false, colour: "grey", word: "Expired" } as const
  const isSoon = leftMs < 7 * 86_400_000
  return { good: true, colour: isSoon ? "amber" : "green", word: isSoon ? "Ends soon" : "In use" } as const
}

function KeyTable({ keys }: { readonly keys: readonly Key[] }) {
  return (
    <Table.ScrollContainer minWidth={880}>
      <Table aria-label="API keys">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Name</Table.Th>
            <Table.Th>State</Table.Th>
            <Table.Th>May</Table.Th>
            <Table.Th>Last used</Table.Th>
            <Table.Th>Ends</Table.Th>
            <Table.Th>Actions</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {keys.map(key => {
            const { good, colour, word } = stateOf(key)
            return (
              <Table.Tr key={key.id}>
                <Table.Td maw={260}>
                  <Text size="sm" fw={600} className="wrap-anywhere">
                    {key.name}
                  </Text>
                  <Text size="xs" c="dimmed" className="mono" truncate>
                    {key.prefix}…{key.last4}
                  </Text>
                </Table.Td>
                <Table.Td>
                  <ColourBadge colour={colour} word={word} />
                </Table.Td>
                <Table.Td maw={280}>
                  <Text size="sm">{key.scopes.length === 0 ? "see its project only" : key.scopes.join(", ")}</Text>
                  <Limits of={key} />
                </Table.Td>
                <Table.Td>
                  {key.last_used_at === null ? "Never" : <Moment at={key.last_used_at} style="ago" />}
                  {key.last_event_at !== null && (
                    <Text size="xs" c="dimmed" component="div">
                      event <Moment at={key.last_event_at} style="ago" />
                    </Text>
                  )}
                </Table.Td>
                <Table.Td>
                  {key.revoked_at !== null ? (
                    <Moment at={key.revoked_at} style="full" />
                  ) : key.expires_at === null ? (
                    "Never"
                  ) : (
                    <Moment at={key.expires_at} style="full" />
                  )}
                </Table.Td>
                <Table.Td>{good && <Actions of={key} />}</Table.Td>
              </Table.Tr>
            )
          })}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  )
}

function Limits({ of: { app, environment, source, max_requests_per_minute: most } }: { readonly of: Key }) {
  const limits = [
    app !== null && `app ${app}`,
    environment !== null && environment,
    source !== null && `source ${source}`,
    most !== null && `${most.toLocaleString()} requests a minute`,
  ].filter(limit => limit !== false)
  if (limits.length === 0) return null
  return (
    <Text size="xs" c="dimmed">
      Only: {limits.join(", ")}
    </Text>
  )
}

function Actions({ of: key }: { readonly of: Key }) {
  const [isRotating, rotating] = useDisclosure(false)
  const [isChanging, changing] = useDisclosure(false)
  return (
    <Group gap={6} wrap="nowrap">
      <Menu>
        <Menu.Target>
          <Button
            size="xs"
            variant="default"
            rightSection={<IconChevronDown size={13} />}
            aria-label={`Change or replace ${key.name}`}
          >
            Change
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item onClick={changing.open}>Name, end or limit</Menu.Item>
          <Menu.Item onClick={rotating.open}>Replace by a new key</Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <Confirm
        size="xs"
        label="Revoke"
        about={key.name}
        title={`Revoke ${key.name}?`}
        action="Revoke it now"
        run={async () => {
          await waybill.DELETE("/v1/api-keys/{id}", { params: { path: { id: key.id } } })
          await renewKeys()
        }}
      >
        Whoever still uses it is refused at once, with 401. It cannot be brought back.{" "}
        {key.last_used_at === null ? (
          "It was never used."
        ) : (
          <>
            It was last used <Moment at={key.last_used_at} style="ago" />. To change without a gap, replace it instead.
          </>
        )}
      </Confirm>
      <Rotate of={key} isOpen={isRotating} close={rotating.close} />
      <Change of={key} isOpen={isChanging} close={changing.close} />
    </Group>
  )
}
