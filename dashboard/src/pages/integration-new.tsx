/** Setting up an integration: choose a connector, fill in its form, see what its endpoints answered. */
import {
  Alert,
  Button,
  Card,
  Fieldset,
  Group,
  SimpleGrid,
  Stack,
  Stepper,
  Switch,
  TagsInput,
  Text,
  TextInput,
  Title,
  UnstyledButton,
} from "@mantine/core"
import { IconFlask, IconSearch } from "@tabler/icons-react"
import { useMutation, useQuery } from "@tanstack/react-query"
import { Link } from "@tanstack/react-router"
import { type FormEvent, useState } from "react"
import { given } from "waybill-sdk"
import {
  type Catalogue,
  type ConnectorInfo,
  catalogueQuery,
  faultsOf,
  type Integration,
  integrationQuery,
  type Json,
  noFaults,
  renew,
  useFocusOnFault,
} from "../integration/data.ts"
import { notesOf } from "../integration/endpoint-notes.tsx"
import { type PolicyDraft, PolicyForm } from "../integration/policy.tsx"
import { SchemaForm } from "../integration/schema-form.tsx"
import { Verifications } from "../integration/verification.tsx"
import { Guarded } from "../parts/access.tsx"
import { Once } from "../parts/once.tsx"
import { Answered, Empty, Page, Trouble } from "../parts/page.tsx"
import { useFilters } from "../parts/search.ts"
import { waybill } from "../waybill.ts"

export function NewIntegration() {
  return (
    <Guarded scope="integrations:write" title="New integration">
      <SetUp />
    </Guarded>
  )
}

function SetUp() {
  const { connector: chosen } = useFilters().search
  const catalogue = useQuery(catalogueQuery)
  const [made, setMade] = useState<Integration>()
  const step = made !== undefined ? 2 : chosen !== undefined ? 1 : 0
  return (
    <Page title="New integration" lead="Events go to a destination of your choice from the moment it is saved.">
      <Stepper active={step} size="sm" allowNextStepsSelect={false} aria-label="Steps">
        <Stepper.Step label="Choose" description="Where events go" />
        <Stepper.Step label="Set up" description="Endpoint, rules, retries" />
        <Stepper.Step label="See it answer" description="Verification and a test" />
      </Stepper>
      <Answered query={catalogue}>
        {data => {
          const connector = data.data.find(({ name }) => name === chosen)
          if (made !== undefined) return <Result made={made} />
          if (connector === undefined) return <Choose connectors={data.data} />
          return <Form key={connector.name} connector={connector} catalogue={data} onMade={setMade} />
        }}
      </Answered>
    </Page>
  )
}

/** The catalogue. */
function Choose({ connectors }: { readonly connectors: readonly ConnectorInfo[] }) {
  const { search: filters, set } = useFilters()
  const { search = "" } = filters
  const found = connectors.filter(({ title, description }) =>
    `${title} ${description}`.toLowerCase().includes(search.toLowerCase()),
  )
  return (
    <Stack>
      <TextInput
        label="Search the catalogue"
        placeholder="Such as webhook"
        leftSection={<IconSearch size={16} />}
        value={search}
        onChange={({ currentTarget }) => set({ search: currentTarget.value }, "quietly")}
        maw={380}
      />
      {found.length === 0 && (
        <Empty title="Nothing of that name">
          A webhook takes events to any address that speaks HTTP: clear the search and choose it.
        </Empty>
      )}
      <SimpleGrid cols={{ base: 1, sm: 2, lg: 3 }}>
        {found.map(({ name, title, description }) => (
          <UnstyledButton key={name} component={Link} to="/integrations/new" search={{ connector: name } as never}>
            <Card withBorder h="100%">
              <Title order={2} size="h4">
                {title}
              </Title>
              <Text size="sm" mt={4}>
                {description}
              </Text>
            </Card>
          </UnstyledButton>
        ))}
      </SimpleGrid>
    </Stack>
  )
}

function Form({
  connector,
  catalogue,
  onMade,
}: {
  readonly connector: ConnectorInfo
  readonly catalogue: Catalogue
  readonly onMade: (made: Integration) => void
}) {
  const [name, setName] = useState("")
  const [apps, setApps] = useState<string[]>([])
  const [config, setConfig] = useState<Json>(connector.verifies ? { sandbox: {}, production: {} } : {})
  const [policy, setPolicy] = useState<PolicyDraft>({ preset: catalogue.presets[0]?.name ?? "standard" })
  const [isOn, setIsOn] = useState(true)
  const save = useMutation({
    mutationFn: () =>
      given(
        waybill.POST("/v1/integrations", {
          body: { name, connector: connector.name, enabled: isOn, apps, config, policy } as never,
        }),
      ),
    onSuccess: async made => {
      await renew()
      onMade(made as Integration)
      window.scrollTo({ top: 0 })
    },
  })
  useFocusOnFault(save.error)
  const faults = save.error === null ? noFaults : faultsOf(save.error)
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    save.mutate()
  }
  return (
    <form onSubmit={submit} noValidate>
      <Stack gap="lg" maw={860}>
        {save.error !== null && <Trouble error={save.error} />}
        <Fieldset legend={connector.title}>
          <Stack gap="md">
            <TextInput
              label="Name"
              description="What people here call it."
              required
              value={name}
              onChange={({ currentTarget }) => setName(currentTarget.value)}
              error={faults.get("/name")}
            />
            <TagsInput
              label="Apps"
              description="Limits it to events of these apps. Empty: all. Press Enter after each."
              value={apps}
              onChange={setApps}
              error={[...faults].find(([pointer]) => pointer.startsWith("/apps"))?.[1]}
            />
          </Stack>
        </Fieldset>
        {connector.verifies && (
          <Alert color="blue" icon={<IconFlask size={18} />} title="Try the sandbox endpoint first">
            Set the sandbox endpoint, save, and send a test event to it. Switch the production endpoint off below until
            that works: adding it later changes nothing else.
          </Alert>
        )}
        <SchemaForm
          schema={connector.settings}
          value={config}
          onChange={setConfig}
          pointer="/config"
          faults={faults}
          notes={notesOf(config, connector)}
        />
        <Fieldset legend="Retries and limits">
          <PolicyForm draft={policy} onChange={setPolicy} catalogue={catalogue} faults={faults} />
        </Fieldset>
        <Switch
          label="Begin at once"
          description="Off: it is kept and gets nothing until it is switched on. Test events work either way."
          checked={isOn}
          onChange={({ currentTarget }) => setIsOn(currentTarget.checked)}
        />
        <Group>
          <Button type="submit" loading={save.isPending}>
            {connector.verifies ? "Save and verify" : "Save"}
          </Button>
          <Button variant="default" component={Link} to="/integrations/new">
            Choose another
          </Button>
          <Text size="sm" c="dimmed" role="status">
            {save.isPending && connector.verifies ? "Asking the endpoints…" : ""}
          </Text>
        </Group>
      </Stack>
    </form>
  )
}

/** What was made: its secret, this once, and what its endpoints said. */
function Result({ made }: { readonly made: Integration }) {
  // The form that made it has no filter.
  const initialData = { integration: made, tag: null, filterText: "null" }
  const { data } = useQuery({ ...integrationQuery(made.id), initialData })
  const { integration } = data
  const states = Object.values(integration.verification).map(each => each?.state)
  const isGood = states.every(state => state === "verified" || state === "not_required")
  return (
    <Stack gap="lg" maw={980}>
      <Text size="lg" fw={600} role="status">
        {isGood
          ? `“${integration.name}” is saved${integration.enabled ? " and gets events from now on" : ", and off"}.`
          : `“${integration.name}” is saved, but an endpoint did not answer as it should.`}
      </Text>
      {made.secret !== undefined && (
        <Once title="The signing secret" text={made.secret} label="Copy the secret">
          The receiver checks signatures with it. If it is lost, rotate it.
        </Once>
      )}
      <Verifications integration={integration} />
      <Group>
        <Button component={Link} to={`/integrations/${made.id}`} search={{ tab: "test" } as never}>
          Send a test event
        </Button>
        <Button variant="default" component={Link} to={`/integrations/${made.id}`} search={{ tab: "types" } as never}>
          Choose event types
        </Button>
        <Button variant="default" component={Link} to={`/integrations/${made.id}`}>
          Open it
        </Button>
      </Group>
    </Stack>
  )
}
