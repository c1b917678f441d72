/** The way on in a list that has more pages. */
import { Button, Group, Text } from "@mantine/core"

export function More({
  query,
  what,
  searchedBackTo,
}: {
  readonly query: { readonly hasNextPage: boolean; readonly isFetchingNextPage: boolean; fetchNextPage(): unknown }
  readonly what: string
  /** Where a search stopped for time. */
  readonly searchedBackTo?: string | null | undefined
}) {
  const back = searchedBackTo === null || searchedBackTo === undefined ? undefined : new Date(searchedBackTo)
  if (!query.hasNextPage) return null
  return (
    <Group gap="sm">
      <Button variant="default" loading={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
        {back === undefined ? `Older ${what}` : "Search further back"}
      </Button>
      {back !== undefined && (
        <Text size="sm" c="dimmed" role="status">
          Searched back to {back.toLocaleString()}.
        </Text>
      )}
    </Group>
  )
}
