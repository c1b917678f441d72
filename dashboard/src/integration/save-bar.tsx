/** The buttons below a form of settings, and what came of the last save. */
import { Alert, Button, Group, Stack, Text } from "@mantine/core"
import { IconUsers } from "@tabler/icons-react"
import { Trouble } from "../parts/page.tsx"
import { isStale, type Saving } from "./save.ts"

export function SaveBar({
  saving,
  isChanged,
  discard,
  label = "Save",
  submit,
}: {
  readonly saving: Saving
  readonly isChanged: boolean
  /** Reads again, and gives up what was typed. */
  readonly discard: () => void
  readonly label?: string
  /** Where the form is not one that Enter submits. */
  readonly submit?: () => void
}) {
  return (
    <Stack gap="sm">
      {isStale(saving.error) ? (
        <Alert
          color="yellow"
          role="alert"
          icon={<IconUsers size={18} />}
          title={
            <Text inherit c="var(--mantine-color-text)">
              Somebody else changed it meanwhile
            </Text>
          }
        >
          <Stack gap="xs" align="flex-start">
            <Text size="sm">
              Nothing of yours was saved, and what you typed still stands here. Look under Changes at what they did;
              then load it as it is now, and make your change again.
            </Text>
            <Button size="xs" variant="default" onClick={discard}>
              Load it as it is now
            </Button>
          </Stack>
        </Alert>
      ) : (
        saving.error !== null && <Trouble error={saving.error} />
      )}
      <Group>
        <Button
          type={submit === undefined ? "submit" : "button"}
          loading={saving.isPending}
          disabled={!isChanged}
          {...(submit !== undefined && { onClick: submit })}
        >
          {label}
        </Button>
        {isChanged && (
          <Button variant="default" onClick={discard}>
            Discard
          </Button>
        )}
        <Text size="sm" c="dimmed" role="status">
          {saving.isDone && !isChanged ? "Saved." : isChanged ? "Not saved yet." : ""}
        </Text>
      </Group>
    </Stack>
  )
}
