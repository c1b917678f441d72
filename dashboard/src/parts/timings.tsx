/** Where the time of a request went: a bar, and the same in words. */
import { ColorSwatch, Group, Progress, Stack, Text } from "@mantine/core"
import type { Answer } from "../waybill.ts"
import { lasting } from "./moment.tsx"

type Timings = NonNullable<Answer<"/v1/deliveries/{id}">["attempts"][number]["timings"]>

const phases = [
  { name: "dns_ms", word: "looking the name up (DNS)", colour: "var(--mantine-color-violet-6)" },
  { name: "connect_ms", word: "connecting", colour: "var(--mantine-color-cyan-7)" },
  { name: "tls_ms", word: "agreeing on encryption (TLS)", colour: "var(--mantine-color-orange-7)" },
  { name: "wait_ms", word: "waiting for the answer", colour: "var(--mantine-color-teal-7)" },
  { name: "body_ms", word: "reading the answer", colour: "var(--mantine-color-blue-6)" },
] as const

/** Less of the whole than this is not drawn. */
const LEAST_SHARE = 0.5

export function TimingsBar({ timings }: { readonly timings: Timings }) {
  const known = phases.flatMap(phase => {
    const ms = timings[phase.name]
    return ms === null ? [] : [{ ...phase, ms }]
  })
  const rest = Math.max(0, timings.total_ms - known.reduce((sum, { ms }) => sum + ms, 0))
  const all = [
    ...known,
    ...(rest >= 1
      ? [{ name: "rest", word: "sending it, and all else", colour: "var(--mantine-color-gray-6)", ms: rest }]
      : []),
  ]
  const share = (ms: number) => (100 * ms) / Math.max(timings.total_ms, 0.01)
  return (
    <Stack gap={6}>
      <Text size="sm">
        <b>{lasting(timings.total_ms)}</b> in all
        {timings.connect_ms === null && timings.wait_ms !== null && ", over a connection that was open already"}.
      </Text>
      <Progress.Root size={14} aria-hidden>
        {all
          .filter(({ ms }) => share(ms) >= LEAST_SHARE)
          .map(({ name, colour, ms }) => (
            <Progress.Section key={name} value={share(ms)} color={colour} />
          ))}
      </Progress.Root>
      <Group gap="md" component="ul" m={0} p={0} style={{ listStyle: "none" }}>
        {all.map(({ name, word, colour, ms }) => (
          <Group key={name} gap={6} component="li" wrap="nowrap">
            <ColorSwatch color={colour} size={10} withShadow={false} aria-hidden />
            <Text size="sm">
              {fine(ms)} {word}
            </Text>
          </Group>
        ))}
      </Group>
    </Stack>
  )
}

/** Phases are often below a millisecond. */
function fine(ms: number): string {
  return ms < 10 ? `${ms.toFixed(1)} ms` : lasting(ms)
}
