/** A key or a link that is shown this once, or a secret that somebody asked to see. */
import { Alert, Code, Group, Stack, Text } from "@mantine/core"
import { IconKey } from "@tabler/icons-react"
import type { ReactNode } from "react"
import { CopyText } from "./copied.tsx"

export function Once({
  title,
  text,
  label,
  lead = "It is shown this once: copy it now.",
  children,
}: {
  readonly title: string
  readonly text: string
  /** On the button that copies it. */
  readonly label: string
  readonly lead?: string
  readonly children?: ReactNode
}) {
  return (
    <Alert color="waybill" title={title} icon={<IconKey size={18} />} role="status">
      <Stack gap="xs">
        <Group gap="xs">
          <Code className="wrap-anywhere" fz="sm">
            {text}
          </Code>
          <CopyText text={text} label={label} />
        </Group>
        <Text size="sm" component="div">
          {lead} {children}
        </Text>
      </Stack>
    </Alert>
  )
}
