/** Says in a corner of the page that something was done, for a while or until it is closed. Without links: the corner lies outside of the router. */
import { Text } from "@mantine/core"
import { notifications } from "@mantine/notifications"

export function tell(title: string, message: string, stays?: "stays"): void {
  notifications.show({
    title,
    message: (
      <Text size="sm" c="light-dark(#1c2024, #dee2e6)">
        {message}
      </Text>
    ),
    role: "status",
    ...(stays !== undefined && { autoClose: false }),
    closeButtonProps: { "aria-label": "Close" },
  })
}
