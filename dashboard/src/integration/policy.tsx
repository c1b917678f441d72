/** How deliveries are tried: presets in words with the numbers that follow from them, and every number to change. */
import {
  Button,
  Collapse,
  Fieldset,
  List,
  NumberInput,
  Radio,
  Select,
  SimpleGrid,
  Stack,
  Switch,
  TagsInput,
  Text,
  TextInput,
} from "@mantine/core"
import { useDisclosure } from "@mantine/hooks"
import { lasting as exactly } from "../parts/moment.tsx"
import { type Catalogue, type Faults, isObject, type Json, type Policy, type Preset } from "./data.ts"

const lasting = (ms: number) => exactly(ms).replace(".0 ", " ")

const SECOND_MS = 1_000
const HOUR_MS = 3_600_000

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
    ...(policy.ordered
      ? [
          `Events of one ordering key go out one after the other; ${policy.ordered_on_failure === "stop" ? "one that has failed for good holds those behind it" : "one that has failed for good holds nobody up"}.`,
        ]
      : []),
    ...(policy.budget === null ? [] : [`Shares the budget ${policy.budget} with all integrations that name it.`]),
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

/** What the API's schema says of a field. */
function descriptionOf(schema: Json, [name, ...rest]: readonly string[]): string | undefined {
  const { description, properties } = schema
  if (name === undefined) return typeof description === "string" ? description : undefined
  const member = isObject(properties) ? properties[name] : undefined
  return isObject(member) ? descriptionOf(member, rest) : undefined
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
      onChange={value => set(name, typeof value === "number" ? value : name === "max_per_second" ? null : undefined)}
      error={faults.get(`/policy/${name}`)}
      thousandSeparator=","
    />
  )
  const textOf = (...path: readonly string[]) => descriptionOf(catalogue.schemas.policy as Json, path)
  /** A number of a part; `unit` is what one of what is shown comes to. Empty: never, where there is such a thing. */
  const part = (of: "protection" | "long_failure", name: string, label: string, unit: number) => {
    const fields: Json = policy[of]
    const value = fields[name]
    return (
      <NumberInput
        label={label}
        description={textOf(of, name)}
        placeholder="Never"
        min={0}
        value={typeof value === "number" ? value / unit : ""}
        onChange={next => set(of, { ...fields, [name]: typeof next === "number" ? Math.round(next * unit) : null })}
        error={faults.get(`/policy/${of}/${name}`)}
        thousandSeparator=","
      />
    )
  }
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
          {policy.protection.enabled && (
            <SimpleGrid cols={{ base: 1, sm: 2 }}>
              {part("protection", "window_ms", "Judged by the last, in seconds", SECOND_MS)}
              {part("protection", "min_attempts", "Attempts in that time, at least", 1)}
              {part("protection", "rest_ms", "First rest, in seconds", SECOND_MS)}
              {part("protection", "longest_rest_ms", "Longest rest, in seconds", SECOND_MS)}
              <Select
                label="What is held back meanwhile"
                description={textOf("protection", "on_skip")}
                allowDeselect={false}
                data={[
                  { value: "wait", label: "Waits, and loses no try" },
                  { value: "use_retry", label: "Uses up a try" },
                ]}
                value={policy.protection.on_skip}
                onChange={value => set("protection", { ...policy.protection, on_skip: value })}
                error={faults.get("/policy/protection/on_skip")}
              />
            </SimpleGrid>
          )}
          <Fieldset legend="When nothing gets through for long">
            <SimpleGrid cols={{ base: 1, sm: 3 }}>
              {part("long_failure", "warn_after_ms", "You are told, after hours", HOUR_MS)}
              {part("long_failure", "stop_retries_after_ms", "No more retries, after hours", HOUR_MS)}
              {part("long_failure", "disable_after_ms", "Switched off, after hours", HOUR_MS)}
            </SimpleGrid>
          </Fieldset>
          <TextInput
            label="Shared budget"
            description={textOf("budget")}
            placeholder="None"
            value={policy.budget ?? ""}
            onChange={({ currentTarget }) => set("budget", currentTarget.value === "" ? null : currentTarget.value)}
            error={faults.get("/policy/budget")}
          />
          <Switch
            label="Keep the order of events with the same ordering key"
            description="One after the other: those behind wait for those in front."
            checked={policy.ordered}
            onChange={({ currentTarget }) => set("ordered", currentTarget.checked)}
            error={faults.get("/policy/ordered")}
          />
          {policy.ordered && (
            <Select
              label="When one of a key has failed for good"
              description={textOf("ordered_on_failure")}
              allowDeselect={false}
              data={[
                { value: "skip", label: "The next one goes on" },
                { value: "stop", label: "Those behind it wait for somebody" },
              ]}
              value={policy.ordered_on_failure}
              onChange={value => set("ordered_on_failure", value ?? undefined)}
              error={faults.get("/policy/ordered_on_failure")}
            />
          )}
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
