/** One integration: how it does and why, what went through it, and all that can be changed on it. One tab each, in the URL. */
import { Button, Group, Menu, Modal, Select, Skeleton, Stack, Tabs, Text } from "@mantine/core"
import { useDisclosure } from "@mantine/hooks"
import { IconDots, IconFileReport } from "@tabler/icons-react"
import { useMutation, useQuery } from "@tanstack/react-query"
import { useNavigate, useParams } from "@tanstack/react-router"
import { type ComponentType, lazy, Suspense, useRef, useState } from "react"
import { given } from "waybill-sdk"
import { catalogueQuery, type Integration, integrationQuery, renew, type Tagged } from "../integration/data.ts"
import { useFollowed } from "../integration/live.ts"
import { IntegrationOverview } from "../integration/overview.tsx"
import { StateBadge } from "../integration/state.tsx"
import { Guarded, Lacking, useMay } from "../parts/access.tsx"
import { Copied } from "../parts/copied.tsx"
import { Answered, Page, Trouble } from "../parts/page.tsx"
import { useFilters } from "../parts/search.ts"
import { portal, portalTabs } from "../portal.ts"
import { type Answer, waybill } from "../waybill.ts"

/** What every tab is given. */
export type TabProps = Tagged

interface Place {
  readonly label: string
  readonly scope: string
  readonly page: ComponentType<TabProps>
  /** Of this connector alone. */
  readonly of?: string
}

const later = (load: () => Promise<ComponentType<TabProps>>) => lazy(async () => ({ default: await load() }))

const places: Readonly<Record<string, Place>> = {
  overview: { label: "Overview", scope: "integrations:read", page: IntegrationOverview },
  inbox: {
    label: "Inbox",
    scope: "payloads:read",
    of: "inbox",
    page: later(async () => (await import("../integration/inbox.tsx")).IntegrationInbox),
  },
  events: {
    label: "Events",
    scope: "events:read",
    page: later(async () => (await import("../integration/events.tsx")).IntegrationEvents),
  },
  history: {
    label: "History",
    scope: "integrations:read",
    page: later(async () => (await import("../integration/history.tsx")).IntegrationHistory),
  },
  logs: {
    label: "Logs",
    scope: "events:read",
    page: later(async () => (await import("../integration/logs.tsx")).IntegrationLogs),
  },
  failures: {
    label: "Failures",
    scope: "events:read",
    page: later(async () => (await import("../integration/failures.tsx")).IntegrationFailures),
  },
  recovery: {
    label: "Recovery",
    scope: "replay",
    page: later(async () => (await import("../integration/recovery.tsx")).IntegrationRecovery),
  },
  test: {
    label: "Test",
    scope: "integrations:write",
    page: later(async () => (await import("../integration/test.tsx")).IntegrationTest),
  },
  types: {
    label: "Types",
    scope: "integrations:read",
    page: later(async () => (await import("../integration/event-table.tsx")).IntegrationTypes),
  },
  filter: {
    label: "Filter",
    scope: "integrations:read",
    page: later(async () => (await import("../integration/filter.tsx")).IntegrationFilter),
  },
  settings: {
    label: "Settings",
    scope: "integrations:read",
    page: later(async () => (await import("../integration/settings.tsx")).IntegrationSettings),
  },
  secret: {
    label: "Secret",
    scope: "integrations:read",
    page: later(async () => (await import("../integration/secret.tsx")).IntegrationSecret),
  },
  changes: {
    label: "Changes",
    scope: "integrations:read",
    page: later(async () => (await import("../integration/changes.tsx")).IntegrationChanges),
  },
}

/** Those that an integration of this connector has here. */
function tabsOf({ connector }: Integration): Readonly<Record<string, Place>> {
  const isShown = (name: string, { of }: Place) =>
    (portal === null || portalTabs.includes(name)) && (of === undefined || of === connector)
  return Object.fromEntries(Object.entries(places).filter(([name, place]) => isShown(name, place)))
}

export function IntegrationPage() {
  return (
    <Guarded scope="integrations:read" title="Integration">
      <Opened />
    </Guarded>
  )
}

function Opened() {
  const { id } = useParams({ from: "/signed-in/integrations/$id" })
  const query = useQuery({ ...integrationQuery(id), refetchInterval: 10_000 })
  const { data: catalogue } = useQuery(catalogueQuery)
  const integration = query.data?.integration
  const connector = catalogue?.data.find(({ name }) => name === integration?.connector)
  useFollowed(id)
  return (
    <Page
      title={integration?.name ?? "Integration"}
      lead={
        integration !== undefined && (
          <Group gap="xs">
            <StateBadge integration={integration} />
            <span>{connector?.title ?? integration.connector}</span>
            <Copied text={id} />
          </Group>
        )
      }
      actions={integration !== undefined && <Actions integration={integration} />}
    >
      <Answered query={query}>{tagged => <Opening key={id} {...tagged} />}</Answered>
    </Page>
  )
}

function Opening(tagged: TabProps) {
  const { tab = "overview" } = useFilters().search
  const navigate = useNavigate()
  const may = useMay()
  const tabs = tabsOf(tagged.integration)
  const current = tab in tabs ? tab : "overview"
  const go = (next: string | null): void => {
    // Filters of one tab mean nothing in another.
    const search = next === null || next === "overview" ? {} : { tab: next }
    void navigate({ to: ".", search: search as never })
  }
  return (
    <Stack gap="md">
      <Select
        hiddenFrom="md"
        label="Show"
        value={current}
        onChange={go}
        allowDeselect={false}
        data={Object.entries(tabs).map(([value, { label }]) => ({ value, label }))}
      />
      <Tabs value={current} onChange={go} keepMounted={false}>
        <Tabs.List visibleFrom="md" mb="md">
          {Object.entries(tabs).map(([value, { label }]) => (
            <Tabs.Tab key={value} value={value}>
              {label}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        {Object.entries(tabs).map(([value, { scope, page: Each }]) => (
          <Tabs.Panel key={value} value={value}>
            {may(scope) ? (
              <Suspense fallback={<Skeleton height={220} />}>
                <Each {...tagged} />
              </Suspense>
            ) : (
              <Lacking scope={scope} />
            )}
          </Tabs.Panel>
        ))}
      </Tabs>
    </Stack>
  )
}

type Deed = "enable" | "disable" | "pause" | "resume" | "duplicate" | "remove"

const deeds: Readonly<Record<Deed, { label: string; title: string; says: string }>> = {
  enable: {
    label: "Switch on",
    title: "Switch it on?",
    says: "Its endpoints are verified, and new events go out. What came while it was off stays where it is: recover it if you want it.",
  },
  disable: {
    label: "Switch off",
    title: "Switch it off?",
    says: "Nothing goes out any more, and what waits ends as failed. New events are not listed for it. What ended can be recovered later.",
  },
  pause: {
    label: "Pause",
    title: "Pause it?",
    says: "Nothing goes out until it is resumed. Events are kept for it meanwhile, and no try is used up.",
  },
  resume: { label: "Resume", title: "Resume it?", says: "What waits goes out, the oldest first, at its usual rate." },
  duplicate: {
    label: "Duplicate to an inbox",
    title: "Make an inbox beside it?",
    says: "It stays as it is. A second integration with the same apps, types, names, filter, policy and headers, and a secret of its own, gets from now on what it gets, and shows the requests as they went out, so that Waybill and the endpoint can be told apart. Remove it when you have seen enough.",
  },
  remove: {
    label: "Remove",
    title: "Remove it for good?",
    says: "What waits ends as failed. Its history stays; its settings and its secret do not come back.",
  },
}

/** What can be done with it, each after a question. */
function Actions({ integration }: { readonly integration: Integration }) {
  const may = useMay()
  const navigate = useNavigate()
  const [asked, ask] = useState<Deed>()
  const opener = useRef<HTMLButtonElement>(null)
  const [isReporting, reporting] = useDisclosure(false)
  const path = { params: { path: { id: integration.id } } }
  const carryOut = useMutation({
    mutationFn: async (deed: Deed): Promise<unknown> => {
      switch (deed) {
        case "enable":
          return waybill.POST("/v1/integrations/{id}/enable", path)
        case "disable":
          return waybill.POST("/v1/integrations/{id}/disable", path)
        case "pause":
          return waybill.POST("/v1/integrations/{id}/pause", path)
        case "resume":
          return waybill.POST("/v1/integrations/{id}/resume", path)
        case "duplicate":
          return given(waybill.POST("/v1/integrations/{id}/duplicate-to-inbox", path))
        case "remove":
          return waybill.DELETE("/v1/integrations/{id}", path)
      }
    },
    onSuccess: async (answer, deed) => {
      ask(undefined)
      if (deed === "duplicate") {
        const { integration: made } = answer as Answer<"/v1/integrations/{id}/duplicate-to-inbox", "post">
        await navigate({ to: "/integrations/$id", params: { id: made.id }, search: { tab: "inbox" } })
      }
      if (deed === "remove") await navigate({ to: "/integrations" })
      await renew(deed === "remove" ? undefined : integration.id)
    },
  })
  const { enabled, paused, connector } = integration
  const possible: readonly Deed[] = [
    paused ? "resume" : "pause",
    enabled ? "disable" : "enable",
    ...(connector === "webhook" ? (["duplicate"] as const) : []),
    "remove",
  ]
  const deed = asked === undefined ? undefined : deeds[asked]
  return (
    <>
      <Button variant="default" leftSection={<IconFileReport size={16} />} onClick={reporting.open}>
        Report
      </Button>
      <Report id={integration.id} name={integration.name} isOpen={isReporting} close={reporting.close} />
      {may("integrations:write") && (
        <Menu position="bottom-end">
          <Menu.Target>
            <Button ref={opener} variant="default" leftSection={<IconDots size={16} />}>
              Actions
            </Button>
          </Menu.Target>
          <Menu.Dropdown>
            {possible.map(each => (
              <Menu.Item
                key={each}
                color={each === "remove" ? "red.8" : undefined}
                onClick={() => {
                  carryOut.reset()
                  ask(each)
                }}
              >
                {deeds[each].label}
              </Menu.Item>
            ))}
          </Menu.Dropdown>
        </Menu>
      )}
      {/* The item of the menu that opened it is gone by now: the focus goes back to the menu's button. */}
      <Modal
        opened={asked !== undefined}
        onClose={() => ask(undefined)}
        onExitTransitionEnd={() => opener.current?.focus()}
        returnFocus={false}
        title={deed?.title}
        centered
      >
        <Stack>
          <Text size="sm">
            <b>{integration.name}</b>: {deed?.says}
          </Text>
          {carryOut.error !== null && <Trouble error={carryOut.error} />}
          <Group justify="flex-end">
            <Button variant="default" onClick={() => ask(undefined)} data-autofocus>
              Leave it
            </Button>
            <Button
              color={asked === "remove" || asked === "disable" ? "red.8" : undefined}
              loading={carryOut.isPending}
              onClick={() => asked !== undefined && carryOut.mutate(asked)}
            >
              {deed?.label}
            </Button>
          </Group>
        </Stack>
      </Modal>
    </>
  )
}

const ReportText = lazy(() => import("../integration/report.tsx").then(module => ({ default: module.ReportText })))

/** The report for the other side's support, to be sent on as it is. */
function Report({
  id,
  name,
  isOpen,
  close,
}: {
  readonly id: string
  readonly name: string
  readonly isOpen: boolean
  readonly close: () => void
}) {
  return (
    <Modal opened={isOpen} onClose={close} title={`Report on ${name}`} size="xl">
      <Suspense fallback={<Skeleton height={220} />}>
        <ReportText id={id} />
      </Suspense>
    </Modal>
  )
}
