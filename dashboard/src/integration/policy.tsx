/** How deliveries are tried: presets in words with the numbers that follow from them, and every number to change. */
import {
  Button,
  Collapse,
  List,
  NumberInput,
  Radio,
  SimpleGrid,
  Stack,
  Switch,
  TagsInput,
  Text,
  TextInput,
} from "@mantine/core"
import { useDisclosure } from "@mantine/hooks"
import { lasting as exactly } from "../parts/moment.tsx"
import type { Catalogue, Faults, Json, Policy, Preset } from "./data.ts"

const lasting = (ms: number) => exactly(ms).replace(".0 ", " ")

/** A preset and what differs from it, as the API takes it. */
export type PolicyDraft = { readonly preset: Preset["name"] } & Json

/** What a policy means, a sentence for each thing. */
export function policyWords(policy: Policy): string[] {
  const { retry_delays_ms: delays, protection, long_failure: long } = policy
  const total = delays.reduce((sum, delay) => sum + delay, 0)
  const shown = delays.slice(0, 12).map(lasting).join(", ")
  return [
    `Delivered: an answer of ${policy.success} within ${lasting(policy.timeout_ms)}.`,
    policy.stop === "none" || policy.stop === ""
      ? "Every other answer is tried again."
      : `Not tried again: ${policy.stop}. Every other answer is.`,
    ...(policy.on_gone === "disable" ? ["A 410 (Gone) switches the integration off."] : []),
    delays.length === 0
      ? "Tried once only."
      : `Tried again ${delays.length} ${delays.length === 1 ? "time" : "times"}, after ${shown}${delays.length > 12 ? ", …" : ""}: ${lasting(total)} in all.`,
    `At most ${policy.max_concurrent} at a time${policy.max_per_second === null ? "" : `, ${policy.max_per_second} a second`}.`,
    protection.enabled
      ? `An endpoint that keeps failing rests ${lasting(protection.rest_ms)} to ${lasting(protection.longest_rest_ms)}, then one try shows whether it is back. ${protection.on_skip === "wait" ? "What waits meanwhile loses nothing." : "What comes meanwhile uses up a try."}`
      : "An endpoint that keeps failing is not left alone.",
    ...(long.warn_after_ms === null ? [] : [`You are told after ${lasting(long.warn_after_ms)} without a success.`]),
    ...(long.stop_retries_after_ms === null
      ? []
      : [
          `After ${lasting(long.stop_retries_after_ms)} without a success nothing is tried again until one gets through.`,
        ]),
    ...(long.disable_after_ms === null
      ? []
      : [`Switched off after ${lasting(long.disable_after_ms)} without a success.`]),
    ...(policy.ordered ? ["Events of one ordering key go out one after the other."] : []),
  ]
}

export function PolicyWords({ policy }: { readonly policy: Policy }) {
  return (
    <List size="sm" spacing={4}>
      {policyWords(policy).map(sentence => (
        <List.Item key={sentence}>{sentence}</List.Item>
      ))}
    </List>
  )
}

/** What a draft comes to. */
export function policyOf(draft: PolicyDraft, { presets }: Catalogue): Policy {
  const base = presets.find(({ name }) => name === draft.preset)?.policy
  if (base === undefined) throw new Error(`There is no preset ${draft.preset}.`)
  return { ...base, ...(draft as Partial<Policy>) }
}

export function PolicyForm({
  draft,
  onChange,
  catalogue,
  faults,
}: {
  readonly draft: PolicyDraft
  readonly onChange: (draft: PolicyDraft) => void
  readonly catalogue: Catalogue
  readonly faults: Faults
}) {
  const hasFaults = [...faults.keys()].some(pointer => pointer.startsWith("/policy"))
  const [isOpen, { toggle }] = useDisclosure(Object.keys(draft).length > 1)
  const policy = policyOf(draft, catalogue)
  const set = (name: string, value: unknown): void => {
    const { [name]: _, ...rest } = draft as Json
    onChange({ ...rest, ...(value === undefined ? {} : { [name]: value }), preset: draft.preset } as PolicyDraft)
  }
  const number = (name: "timeout_ms" | "max_concurrent" | "max_per_second", label: string, description: string) => (
    <NumberInput
      label={label}
      description={description}
      value={(policy[name] as number | null) ?? ""}
      onChange={value => set(name, typeof value === "number" ? value : undefined)}
      error={faults.get(`/policy/${name}`)}
      thousandSeparator=","
    />
  )
  return (
    <Stack gap="md">
      <Radio.Group
        label="Begin with"
        value={draft.preset}
        onChange={preset => onChange({ preset: preset as Preset["name"] })}
        error={faults.get("/policy/preset")}
      >
        <SimpleGrid cols={{ base: 1, sm: 2 }} mt="xs">
          {catalogue.presets.map(({ name, title, description }) => (
            <Radio.Card key={name} value={name} p="sm">
              <Stack gap={4}>
                <Text fw={600} size="sm" component="span" display="flex" className="with-gap">
                  <Radio.Indicator /> {title}
                </Text>
                <Text size="sm" c="dimmed">
                  {description}
                </Text>
              </Stack>
            </Radio.Card>
          ))}
        </SimpleGrid>
      </Radio.Group>
      <div aria-live="polite">
        <PolicyWords policy={policy} />
      </div>
      <Button variant="default" size="xs" onClick={toggle} aria-expanded={isOpen || hasFaults} w="fit-content">
        {isOpen ? "Hide the numbers" : "Change the numbers"}
      </Button>
      <Collapse expanded={isOpen || hasFaults}>
        <Stack gap="md">
          <SimpleGrid cols={{ base: 1, sm: 2 }}>
            {number("timeout_ms", "Time limit, in ms", "Of one try, all in. 1,000 to 120,000.")}
            {number("max_concurrent", "At a time", "Requests under way at most. 1 to 1,000.")}
            {number("max_per_second", "A second", "Tries a second at most. Empty: no limit.")}
            <TextInput
              label="Delivered by"
              description="Statuses such as 200-299,304."
              value={policy.success}
              onChange={({ currentTarget }) => set("success", currentTarget.value)}
              error={faults.get("/policy/success")}
            />
            <TextInput
              label="Not tried again after"
              description="Statuses such as 400-404,410; none for no status."
              value={policy.stop}
              onChange={({ currentTarget }) => set("stop", currentTarget.value)}
              error={faults.get("/policy/stop")}
            />
            <TagsInput
              label="Wait before each retry, in seconds"
              description="As many retries as there are waits. Press Enter after each."
              value={policy.retry_delays_ms.map((ms, i) => `${i + 1}: ${ms / 1_000}`)}
              onChange={tags => {
                const seconds = tags.map(tag => Number(tag.replace(/^\d+: /, "")))
                set(
                  "retry_delays_ms",
                  seconds.filter(Number.isFinite).map(each => Math.round(each * 1_000)),
                )
              }}
              error={[...faults].find(([pointer]) => pointer.startsWith("/policy/retry_delays_ms"))?.[1]}
            />
          </SimpleGrid>
          <Switch
            label="Leave an endpoint alone while it fails"
            checked={policy.protection.enabled}
            onChange={({ currentTarget }) =>
              set("protection", { ...policy.protection, enabled: currentTarget.checked })
            }
          />
          <Switch
            label="Keep the order of events with the same ordering key"
            description="One after the other: those behind wait for those in front."
            checked={policy.ordered}
            onChange={({ currentTarget }) => set("ordered", currentTarget.checked)}
          />
          <Switch
            label="A 410 (Gone) switches the integration off"
            checked={policy.on_gone === "disable"}
            onChange={({ currentTarget }) => set("on_gone", currentTarget.checked ? "disable" : "as_status")}
            error={faults.get("/policy/on_gone")}
          />
        </Stack>
      </Collapse>
    </Stack>
  )
}
