/** The list of connectors. A new one needs its file and its line here. */
import type { Connector } from "./connector.ts"
import { inbox } from "./inbox.ts"
import { webhook } from "./webhook.ts"

/** All connectors, in the order in which people are offered them. */
export const connectors: readonly Connector[] = [webhook, inbox]

/** The connector of that name, or undefined. */
export function findConnector(name: string): Connector | undefined {
  return connectors.find(connector => connector.name === name)
}
