/** Texts of events, requests and answers: always text nodes, never markup; bidi controls are shown as what they are (API-27). */
import { Button, Group, Paper, SegmentedControl, Stack, Text } from "@mantine/core"
import { IconDownload } from "@tabler/icons-react"
import { useMemo, useState } from "react"
import classes from "./code.module.css"
import { CopyText } from "./copied.tsx"

/** Longer texts are shown as far as this, and can be downloaded whole: a line of a megabyte stops a browser. */
const MOST_SHOWN = 200_000

// Characters that change the direction of the text around them, and control characters but tab and line feed.
const hidden = /[\u0000-\u0008\u000b-\u001f\u007f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g

/** The same text with what cannot be seen written out. */
export function visible(text: string): string {
  return text.replaceAll(hidden, found => `\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`)
}

export function CodeBlock({ text, label }: { readonly text: string; readonly label: string }) {
  const shown = visible(text.length > MOST_SHOWN ? text.slice(0, MOST_SHOWN) : text)
  return (
    <Paper withBorder className={classes.block}>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by key (axe: scrollable-region-focusable) */}
      <section className={classes.scroll} tabIndex={0} aria-label={label}>
        <pre className={classes.text}>{shown}</pre>
      </section>
      {text.length > MOST_SHOWN && (
        <Text size="xs" c="dimmed" p="xs">
          The first {MOST_SHOWN.toLocaleString()} of {text.length.toLocaleString()} characters. Download it to see all.
        </Text>
      )}
    </Paper>
  )
}

/** A text that may be JSON: pretty or as it came, to copy and to download. `name` is what the file is called. */
export function Payload({
  text,
  name,
  label,
}: {
  readonly text: string
  readonly name: string
  readonly label: string
}) {
  const [form, setForm] = useState<"pretty" | "raw">("pretty")
  const pretty = useMemo(() => prettyJson(text), [text])
  return (
    <Stack gap="xs">
      <Group gap="xs" justify="space-between">
        {pretty === undefined ? (
          <span />
        ) : (
          <SegmentedControl
            size="xs"
            value={form}
            onChange={value => setForm(value as "pretty" | "raw")}
            data={[
              { value: "pretty", label: "Pretty" },
              { value: "raw", label: "As it came" },
            ]}
            aria-label={`How ${label} is shown`}
          />
        )}
        <Group gap="xs">
          <CopyText text={text} label="Copy" />
          <Button
            size="xs"
            variant="default"
            leftSection={<IconDownload size={14} />}
            onClick={() => download(text, name)}
          >
            Download
          </Button>
        </Group>
      </Group>
      <CodeBlock text={form === "pretty" ? (pretty ?? text) : text} label={label} />
    </Stack>
  )
}

/**
 * JSON with line breaks, every number and string as it was written: parsing and printing would change numbers such as 1.0.
 * Undefined where the text is no JSON.
 */
export function prettyJson(text: string): string | undefined {
  try {
    JSON.parse(text)
  } catch {
    return undefined
  }
  let out = ""
  let depth = 0
  const lineBreak = () => `\n${"  ".repeat(depth)}`
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[[\]{},:]|[^\s[\]{},:"]+/g) ?? []
  for (const [i, token] of tokens.entries()) {
    const next = tokens[i + 1]
    if (token === "{" || token === "[") {
      const isEmpty = next === "}" || next === "]"
      depth++
      out += isEmpty ? token : token + lineBreak()
    } else if (token === "}" || token === "]") {
      depth--
      const before = tokens[i - 1]
      out += before === "{" || before === "[" ? token : lineBreak() + token
    } else if (token === ",") out += token + lineBreak()
    else if (token === ":") out += ": "
    else out += token
  }
  return out
}

function download(text: string, name: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: "application/json" }))
  const link = document.createElement("a")
  link.href = url
  link.download = name
  link.click()
  URL.revokeObjectURL(url)
}
