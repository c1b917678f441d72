/** The way on in a list that has more pages. */
import { Button, Group, Text } from "@mantine/core"
import { useEffect } from "react"

/** So many pages in which nothing is found are asked for by themselves; an answer stops for time after 0.12 s. */
const PAGES_IN_VAIN = 40

export function More({
  query,
  what,
  searchedBackTo,
  hasFound = true,
}: {
  readonly query: {
    readonly hasNextPage: boolean
    readonly isFetchingNextPage: boolean
    readonly isError: boolean
    readonly data?: { readonly pages: readonly unknown[] } | undefined
    fetchNextPage(): unknown
  }
  readonly what: string
  /** Where a search stopped for time. */
  readonly searchedBackTo?: string | null | undefined
  /** False: the search goes on by itself for a while. */
  readonly hasFound?: boolean
}) {
  const { hasNextPage, isFetchingNextPage, isError, fetchNextPage, data } = query
  const goesOn = !hasFound && hasNextPage && !isError && (data?.pages.length ?? 0) < PAGES_IN_VAIN
  useEffect(() => {
    if (goesOn && !isFetchingNextPage) void fetchNextPage()
  }, [goesOn, isFetchingNextPage, fetchNextPage])
  const back = searchedBackTo === null || searchedBackTo === undefined ? undefined : new Date(searchedBackTo)
  if (!hasNextPage) return null
  return (
    <Group gap="sm">
      <Button variant="default" loading={isFetchingNextPage || goesOn} onClick={() => void fetchNextPage()}>
        {back === undefined ? `Older ${what}` : "Search further back"}
      </Button>
      {back !== undefined && (
        <Text size="sm" c="dimmed" {...(goesOn ? {} : { role: "status" })}>
          Searched back to {back.toLocaleString()}
          {goesOn ? ", and going on." : "."}
        </Text>
      )}
    </Group>
  )
}
