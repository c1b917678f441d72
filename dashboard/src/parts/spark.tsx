/** An integration's deliveries of the last 30 days in a line's height: what arrived and what did not, in words too. */
import { Sparkline } from "@mantine/charts"
import "@mantine/charts/styles.css"
import { Group, Text, VisuallyHidden } from "@mantine/core"
import { useQuery } from "@tanstack/react-query"
import { given } from "waybill-sdk"
import { waybill } from "../waybill.ts"

export function Spark({ integration, name }: { readonly integration: string; readonly name: string }) {
  const { data } = useQuery({
    queryKey: ["history", integration, "day"],
    queryFn: () =>
      given(
        waybill.GET("/v1/integrations/{id}/history", {
          params: { path: { id: integration }, query: { interval: "day" } },
        }),
      ),
    staleTime: 60_000,
  })
  if (data === undefined) return null
  const { success, error, skipped } = data.totals
  if (success + error + skipped === 0) {
    return (
      <Text size="sm" c="dimmed">
        Nothing sent
      </Text>
    )
  }
  return (
    <Group gap="xs" wrap="nowrap">
      <Sparkline
        aria-hidden
        inert
        w={130}
        h={30}
        data={data.data.map(day => day.success + day.error)}
        color="waybill.7"
        curveType="monotone"
        strokeWidth={1.5}
        fillOpacity={0.25}
      />
      <Text size="xs" className="nowrap" c={error > 0 ? "light-dark(#b01e1e, #ff9c94)" : "dimmed"}>
        {error > 0 ? `${Math.round((100 * error) / (success + error))} % errors` : "no errors"}
      </Text>
      <VisuallyHidden>
        {name}: {success} successes, {error} errors, {skipped} skipped in 30 days
      </VisuallyHidden>
    </Group>
  )
}
