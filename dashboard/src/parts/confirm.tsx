/** A button that asks before it does what cannot be taken back. */
import { Button, type ButtonProps, Group, Modal, Stack, Text } from "@mantine/core"
import { useDisclosure } from "@mantine/hooks"
import { useMutation } from "@tanstack/react-query"
import type { ReactNode } from "react"
import { Trouble } from "./page.tsx"

export function Confirm({
  label,
  about,
  title,
  action,
  children,
  run,
  ...look
}: {
  /** On the button that opens the question. */
  readonly label: string
  /** What the button is about, for who does not see the row that it stands in. */
  readonly about?: string
  readonly title: string
  /** On the button that does it. */
  readonly action: string
  /** What will happen. */
  readonly children: ReactNode
  readonly run: () => Promise<unknown>
} & Pick<ButtonProps, "size" | "variant" | "color" | "leftSection" | "disabled">) {
  const [isOpen, { open, close }] = useDisclosure(false)
  const work = useMutation({ mutationFn: run, onSuccess: close })
  return (
    <>
      <Button
        variant="default"
        {...look}
        onClick={() => {
          work.reset()
          open()
        }}
        aria-label={about === undefined ? undefined : `${label}: ${about}`}
      >
        {label}
      </Button>
      <Modal opened={isOpen} onClose={close} title={title} centered>
        <Stack>
          <Text size="sm" component="div">
            {children}
          </Text>
          {work.error !== null && <Trouble error={work.error} />}
          <Group justify="flex-end">
            <Button variant="default" onClick={close} data-autofocus>
              Leave it
            </Button>
            <Button color="red.8" loading={work.isPending} onClick={() => work.mutate()}>
              {action}
            </Button>
          </Group>
        </Stack>
      </Modal>
    </>
  )
}
