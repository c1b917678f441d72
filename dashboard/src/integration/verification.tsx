/** Whether the endpoints have shown that they are there, with the whole answer, and a button to ask them again. */
import { Accordion, Button, Card, Group, SimpleGrid, Stack, Text, Title } from "@mantine/core"
import { useMutation } from "@tanstack/react-query"
import { useMay } from "../parts/access.tsx"
import { Moment } from "../parts/moment.tsx"
import { Trouble } from "../parts/page.tsx"
import { ColourBadge } from "../parts/status.tsx"
import type { Colour } from "../status.ts"
import { waybill } from "../waybill.ts"
import { environmentsOf, type Integration, renew, type Verification } from "./data.ts"
import { VerificationAnswer } from "./exchange.tsx"

const looks: Readonly<Record<Verification["state"], readonly [Colour, string]>> = {
  verified: ["green", "Verified"],
  failed: ["red", "Not verified"],
  pending: ["amber", "Not verified yet"],
  not_required: ["grey", "Nothing asked for"],
}

const rules: Readonly<Record<string, string>> = {
  json: "It has to answer POST {} with a 2xx status and any JSON.",
  status: "It has to answer POST {} with a 2xx status.",
  none: "It gets events without being asked first.",
}

export function VerificationBadge({ state }: { readonly state: Verification["state"] }) {
  const [colour, word] = looks[state]
  return <ColourBadge colour={colour} word={word} />
}

export function Verifications({ integration }: { readonly integration: Integration }) {
  const may = useMay()
  const again = useMutation({
    mutationFn: () => waybill.POST("/v1/integrations/{id}/verify", { params: { path: { id: integration.id } } }),
    onSuccess: () => renew(integration.id),
  })
  const { verification } = integration
  const asked = environmentsOf(integration).flatMap(environment => {
    const found = verification[environment]
    return found === undefined ? [] : [{ environment, ...found }]
  })
  if (asked.length === 0) return null
  const isAsked = asked.some(({ state }) => state !== "not_required")
  return (
    <Stack gap="sm">
      <Group justify="space-between">
        <Title order={2} size="h4">
          Verification
        </Title>
        {isAsked && may("integrations:write") && (
          <Button variant="default" size="xs" loading={again.isPending} onClick={() => again.mutate()}>
            Verify again
          </Button>
        )}
      </Group>
      {again.error !== null && <Trouble error={again.error} />}
      <SimpleGrid cols={{ base: 1, md: asked.length }}>
        {asked.map(({ environment, state, rule, checked_at, message, answer }) => (
          <Card key={environment} withBorder>
            <Stack gap="xs">
              <Group justify="space-between" gap="xs">
                <Text fw={600}>{environment === "production" ? "Production" : "Sandbox"}</Text>
                <VerificationBadge state={state} />
              </Group>
              <Text size="sm">{message ?? rules[rule] ?? rule}</Text>
              {state === "failed" && (
                <Text size="sm">
                  <b>What to do:</b> mend the endpoint, then verify again. Until then it gets no events; they can be
                  recovered.
                </Text>
              )}
              {checked_at !== null && (
                <Text size="xs" c="dimmed">
                  Asked <Moment at={checked_at} style="ago" />
                </Text>
              )}
              {state === "verified" ? (
                <Accordion>
                  <Accordion.Item value="answer">
                    <Accordion.Control>Its whole answer</Accordion.Control>
                    <Accordion.Panel>
                      <VerificationAnswer answer={answer} environment={environment} />
                    </Accordion.Panel>
                  </Accordion.Item>
                </Accordion>
              ) : (
                <VerificationAnswer answer={answer} environment={environment} />
              )}
            </Stack>
          </Card>
        ))}
      </SimpleGrid>
    </Stack>
  )
}
