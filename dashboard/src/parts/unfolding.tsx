/** A row of a table that shows more below itself when one asks; of all rows with the same hand one is open at a time. */
import { Button, Table } from "@mantine/core"
import { type ReactNode, useState } from "react"

/** Which row is open. */
export interface Hand {
  readonly opened: string | null
  readonly open: (id: string | null) => void
}

export function useHand(): Hand {
  const [opened, open] = useState<string | null>(null)
  return { opened, open }
}

export function UnfoldingRow({
  id,
  about,
  hand,
  columns,
  detail,
  children,
}: {
  readonly id: string
  /** What it shows more of, for who does not see the row: “what was refused at 10:00”. */
  readonly about: string
  readonly hand: Hand
  /** How many cells there are in `children`. */
  readonly columns: number
  readonly detail: ReactNode
  /** The cells; that of the button follows them. */
  readonly children: ReactNode
}) {
  const isOpen = hand.opened === id
  const word = isOpen ? "Less" : "More"
  return (
    <>
      <Table.Tr>
        {children}
        <Table.Td>
          <Button
            size="xs"
            variant="default"
            aria-expanded={isOpen}
            aria-label={`${word} on ${about}`}
            onClick={() => hand.open(isOpen ? null : id)}
          >
            {word}
          </Button>
        </Table.Td>
      </Table.Tr>
      {isOpen && (
        <Table.Tr>
          <Table.Td colSpan={columns + 1}>{detail}</Table.Td>
        </Table.Tr>
      )}
    </>
  )
}
