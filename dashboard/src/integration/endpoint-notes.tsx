/** What is to be said beside the fields of endpoints as they stand in a form. */
import { Alert, Text } from "@mantine/core"
import { IconAlertTriangle } from "@tabler/icons-react"
import type { ReactNode } from "react"
import { type ConnectorInfo, isObject, type Json } from "./data.ts"

/** By JSON pointer of the field. */
export function notesOf(config: Json, { verifies }: Pick<ConnectorInfo, "verifies">): Record<string, ReactNode> {
  if (!verifies) return {}
  const open = ["production", "sandbox"].filter(environment => {
    const endpoint = config[environment]
    return isObject(endpoint) && !endpoint["authorization"] && endpoint["auth"] === undefined
  })
  return Object.fromEntries(
    open.map(environment => [
      `/config/${environment}/authorization`,
      <Alert
        key={environment}
        color="yellow"
        icon={<IconAlertTriangle size={18} />}
        title={
          <Text inherit c="var(--mantine-color-text)">
            Without it the receiver cannot tell who calls
          </Text>
        }
      >
        Anybody who learns the address could send events in your name. Give an Authorization, or have the receiver check
        the signature.
      </Alert>,
    ]),
  )
}
