/** One reason: what it means, what to do, whether it is tried again, and where it stands now. */
import { Button, Group, Select, Stack, Text, Title } from "@mantine/core"
import { useQuery } from "@tanstack/react-query"
import { Link, useNavigate, useParams } from "@tanstack/react-router"
import { useMay } from "../parts/access.tsx"
import { Answered, Empty, Page } from "../parts/page.tsx"
import { type KnownReason, reasonsQuery } from "../parts/reasons-query.ts"
import { Sentence } from "../parts/sentence.tsx"
import { ColourBadge } from "../parts/status.tsx"

const meanings = {
  plain: "On its way",
  grey: "Nothing to do",
  amber: "Waybill is still trying",
  red: "Someone has to act",
} as const

export function ReasonPage() {
  const { code } = useParams({ from: "/signed-in/reasons/$code" })
  const query = useQuery(reasonsQuery)
  const reason = query.data?.data.find(each => each.code === code)
  return (
    <Page
      title={reason?.title ?? "Reason"}
      lead={
        <>
          Why a delivery stands where it stands. In the API it is called <code>{code}</code>.
        </>
      }
    >
      <Answered query={query}>
        {({ data }) => (
          <Stack gap="lg" maw={760}>
            {reason === undefined ? (
              <Empty title="There is no such reason">
                The link may be old, or have lost a part. Choose one of the reasons that there are.
              </Empty>
            ) : (
              <Told reason={reason} />
            )}
            <Another reasons={data} code={code} />
          </Stack>
        )}
      </Answered>
    </Page>
  )
}

function Told({ reason }: { readonly reason: KnownReason }) {
  const may = useMay()
  const { code, colour, colour_failed: failed, outlook, variants } = reason
  return (
    <Stack gap="lg">
      <Group gap="xs">
        <ColourBadge colour={colour} word={meanings[colour]} />
        {failed !== colour && (
          <>
            <Text size="sm">and once it has failed</Text>
            <ColourBadge colour={failed} word={meanings[failed]} />
          </>
        )}
      </Group>
      <Words {...reason} />
      <Text size="sm">
        <b>Tried again?</b> {outlook}
      </Text>
      {may("events:read") && (
        <Group gap="xs">
          <Button variant="default" size="xs" component={Link} to="/events" search={{ reason: code } as never}>
            See the events
          </Button>
          <Button variant="default" size="xs" component={Link} to="/deliveries" search={{ reason: code } as never}>
            See the deliveries
          </Button>
        </Group>
      )}
      {variants.length > 0 && (
        <Stack gap="md">
          <Title order={2} size="h4">
            Where more is known
          </Title>
          {variants.map(variant => (
            <Stack key={`${variant.fact} ${variant.value}`} gap={6}>
              <Title order={3} size="h5">
                {variant.title}{" "}
                <Text span size="sm" c="dimmed" fw={400}>
                  ({variant.fact.replaceAll("_", " ")} {variant.value.replaceAll("_", " ")})
                </Text>
              </Title>
              <Words {...variant} />
            </Stack>
          ))}
        </Stack>
      )}
    </Stack>
  )
}

function Words({ what, causes, advice }: Pick<KnownReason, "what" | "causes" | "advice">) {
  return (
    <Stack gap={6}>
      <Text size="sm">
        <Sentence text={what} />
      </Text>
      <Text size="sm">
        <b>Likely causes:</b> {causes}
      </Text>
      <Text size="sm">
        <b>What to do:</b> <Sentence text={advice} />
      </Text>
    </Stack>
  )
}

function Another({ reasons, code }: { readonly reasons: readonly KnownReason[]; readonly code: string }) {
  const navigate = useNavigate()
  return (
    <Select
      label="Another reason"
      searchable
      w={{ base: "100%", xs: 360 }}
      data={reasons.map(each => ({ value: each.code, label: each.title }))}
      value={reasons.some(each => each.code === code) ? code : null}
      placeholder="Choose one"
      allowDeselect={false}
      onChange={chosen => chosen !== null && void navigate({ to: "/reasons/$code", params: { code: chosen } })}
    />
  )
}
