/** One box for whatever id somebody was told: goes to what it names, or sets the filter under which it is found. */
import { Alert, Anchor, Button, Group, Stack, Text, TextInput } from "@mantine/core"
import { IconSearch } from "@tabler/icons-react"
import { useMutation } from "@tanstack/react-query"
import { useNavigate } from "@tanstack/react-router"
import { type FormEvent, type ReactNode, useState } from "react"
import { given } from "waybill-sdk"
import { waybill } from "../waybill.ts"
import { Trouble } from "./page.tsx"
import type { Filters } from "./search.ts"

const places = {
  external_id: "own id",
  source_record: "source record",
  destination_record: "destination record",
  profile_id: "profile",
  device_id: "device",
} as const
type Place = keyof typeof places

export function FindById({
  filters,
  children,
}: {
  readonly filters: Filters
  /** More to do beside it. */
  readonly children?: ReactNode
}) {
  const [text, setText] = useState("")
  const navigate = useNavigate()
  const find = useMutation({
    mutationFn: async (id: string): Promise<{ readonly id: string; readonly found: readonly Place[] }> => {
      if (/^evt_\w+$/.test(id)) {
        await navigate({ to: "/events/$id", params: { id } })
        return { id, found: [] }
      }
      if (/^dlv_\w+$/.test(id)) {
        const delivery = await given(waybill.GET("/v1/deliveries/{id}", { params: { path: { id } } }))
        await navigate({ to: "/events/$id", params: { id: delivery.event.id }, search: { delivery: id } })
        return { id, found: [] }
      }
      if (/^int_\w+$/.test(id)) {
        filters.replace({ integration: id })
        return { id, found: [] }
      }
      if (/^rec_\w+$/.test(id)) {
        await navigate({ to: "/deliveries", search: { recovery: id } })
        return { id, found: [] }
      }
      const asked = await Promise.all(
        (Object.keys(places) as Place[]).map(async place => {
          const page = await given(waybill.GET("/v1/events", { params: { query: { [place]: id, limit: 1 } } }))
          return page.data.length > 0 ? [place] : []
        }),
      )
      const found = asked.flat()
      filters.replace({ [found[0] ?? "external_id"]: id })
      return { id, found }
    },
  })
  const submit = (event: FormEvent<unknown>) => {
    event.preventDefault()
    if (text.trim() !== "") find.mutate(text.trim())
  }
  const { data } = find
  return (
    <Stack gap="xs">
      <Group gap="xs">
        <Group component="form" onSubmit={submit} gap="xs" wrap="nowrap" flex="1 1 300px">
          <TextInput
            flex={1}
            aria-label="Find by any id"
            placeholder="Find by any id: evt_…, dlv_…, own id, record, profile, device"
            leftSection={<IconSearch size={16} aria-hidden />}
            value={text}
            onChange={event => setText(event.currentTarget.value)}
          />
          <Button type="submit" loading={find.isPending}>
            Find
          </Button>
        </Group>
        {children}
      </Group>
      {find.error !== null && <Trouble error={find.error} />}
      {data !== undefined && data.found.length > 1 && (
        <Alert role="status" variant="light" color="gray">
          <Text size="sm">
            {data.id} is a {places[data.found[0] as Place]} here. It is also a{" "}
            {data.found.slice(1).map((place, i) => (
              <span key={place}>
                {i > 0 && " and a "}
                <Anchor
                  component="button"
                  type="button"
                  size="sm"
                  onClick={() => filters.replace({ [place]: data.id })}
                >
                  {places[place]}
                </Anchor>
              </span>
            ))}
            .
          </Text>
        </Alert>
      )}
    </Stack>
  )
}
