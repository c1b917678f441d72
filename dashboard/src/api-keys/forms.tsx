/** The forms of API keys: a new one, one in place of another, and changes to one. */
import {
  Alert,
  Button,
  Checkbox,
  Code,
  Group,
  Modal,
  NumberInput,
  Select,
  SimpleGrid,
  Stack,
  Text,
  TextInput,
} from "@mantine/core"
import { DateTimePicker } from "@mantine/dates"
import { useForm } from "@mantine/form"
import { useMutation, useQuery } from "@tanstack/react-query"
import { useState } from "react"
import { given } from "waybill-sdk"
import { rolesQuery } from "../parts/access.tsx"
import { CodeBlock } from "../parts/code.tsx"
import { CopyText } from "../parts/copied.tsx"
import { faultsOfFields } from "../parts/faults.ts"
import { Moment } from "../parts/moment.tsx"
import { Once } from "../parts/once.tsx"
import { Trouble } from "../parts/page.tsx"
import { type Answer, queries, waybill } from "../waybill.ts"

type Key = Answer<"/v1/api-keys">["data"][number]

/** After a change of any of them. */
export const renewKeys = () => queries.invalidateQueries({ queryKey: ["api-keys"] })

interface Opened {
  readonly isOpen: boolean
  readonly close: () => void
}

/** A picked time, local without a zone, as the API takes it. */
function timeOf(picked: string | null): string | null {
  return picked === null ? null : new Date(picked.replace(" ", "T")).toISOString()
}

export function NewKey({ isOpen, close }: Opened) {
  const { data: known } = useQuery(rolesQuery)
  const { data: apps } = useQuery({
    queryKey: ["apps", "names"],
    queryFn: () => given(waybill.GET("/v1/apps", { params: { query: { limit: 200 } } })),
  })
  const form = useForm({
    initialValues: {
      name: "",
      scopes: ["ingest"] as string[],
      app: null as string | null,
      environment: null as string | null,
      source: "",
      expires_at: null as string | null,
      max_requests_per_minute: "" as number | "",
    },
  })
  const { values } = form
  const isLimited = values.app !== null || values.environment !== null || values.source !== ""
  const make = useMutation({
    mutationFn: () =>
      given(
        waybill.POST("/v1/api-keys", {
          body: {
            name: values.name,
            scopes: (known?.scopes ?? []).flatMap(({ name, whole }) =>
              values.scopes.includes(name) && !(whole && isLimited) ? [name] : [],
            ),
            app: values.app,
            environment:
              values.environment === "sandbox" || values.environment === "production" ? values.environment : null,
            source: values.source === "" ? null : values.source,
            expires_at: timeOf(values.expires_at),
            max_requests_per_minute: values.max_requests_per_minute === "" ? null : values.max_requests_per_minute,
          },
        }),
      ),
    onSuccess: renewKeys,
    onError: error => form.setErrors(faultsOfFields(error)),
  })
  const leave = () => {
    close()
    make.reset()
    form.reset()
  }
  return (
    <Modal opened={isOpen} onClose={leave} title="Make an API key" size="lg">
      {make.data !== undefined ? (
        <MadeKey name={make.data.name} text={make.data.key} scopes={make.data.scopes} close={leave} />
      ) : (
        <form onSubmit={form.onSubmit(() => make.mutate())}>
          <Stack>
            <TextInput
              label="Name"
              description="What uses it, such as: billing service."
              required
              withAsterisk={false}
              data-autofocus
              {...form.getInputProps("name")}
            />
            <Checkbox.Group
              label="What it may do"
              description="As little as it needs."
              {...form.getInputProps("scopes")}
            >
              <Stack gap={8} mt="xs">
                {known?.scopes.map(({ name, allows, whole }) => (
                  <Checkbox
                    key={name}
                    value={name}
                    label={name}
                    description={
                      whole && isLimited ? `${allows} Not with a limit: it is about the whole project.` : allows
                    }
                    disabled={whole && isLimited}
                  />
                ))}
              </Stack>
            </Checkbox.Group>
            <SimpleGrid cols={{ base: 1, xs: 2 }}>
              <Select
                label="Only events of an app"
                placeholder="All apps"
                clearable
                data={apps?.data.map(({ name }) => name) ?? []}
                {...form.getInputProps("app")}
              />
              <Select
                label="Only events of an environment"
                placeholder="Both"
                clearable
                data={["production", "sandbox"]}
                {...form.getInputProps("environment")}
              />
              <TextInput label="Only events of a source" placeholder="All sources" {...form.getInputProps("source")} />
              <NumberInput
                label="Requests a minute"
                placeholder="Any number"
                min={1}
                allowDecimal={false}
                {...form.getInputProps("max_requests_per_minute")}
              />
              <DateTimePicker
                label="Ends"
                placeholder="Never"
                clearable
                minDate={new Date()}
                {...form.getInputProps("expires_at")}
              />
            </SimpleGrid>
            {make.error !== null && <Trouble error={make.error} />}
            <Group justify="flex-end">
              <Button variant="default" onClick={leave}>
                Leave it
              </Button>
              <Button type="submit" loading={make.isPending}>
                Make the key
              </Button>
            </Group>
          </Stack>
        </form>
      )}
    </Modal>
  )
}

/** A key that was just made, with how it is used. */
function MadeKey({
  name,
  text,
  scopes,
  close,
}: {
  readonly name: string
  readonly text: string
  readonly scopes: readonly string[]
  readonly close: () => void
}) {
  const sends = scopes.includes("ingest") || scopes.includes("admin")
  const curl = `curl -sS ${window.location.origin}/v1/${sends ? "events" : "projects"} \\\n  -H "Authorization: Bearer ${text}"${
    sends ? ` \\\n  --json '{"type":"order.paid","data":{"amount":12.5}}'` : ""
  }`
  return (
    <Stack>
      <Once title={`The key of ${name}`} text={text} label="Copy the key">
        Keep it where secrets are kept, never in an app or a page.
      </Once>
      <Stack gap={6}>
        <Group justify="space-between">
          <Text size="sm" fw={600}>
            Try it
          </Text>
          <CopyText text={curl} label="Copy" />
        </Group>
        <CodeBlock text={curl} label="A request with this key" />
      </Stack>
      <Group justify="flex-end">
        <Button onClick={close}>I have copied it</Button>
      </Group>
    </Stack>
  )
}

const graces = [
  { value: "0", label: "at once" },
  { value: "3600", label: "in an hour" },
  { value: "86400", label: "in a day" },
  { value: "604800", label: "in 7 days" },
  { value: "2592000", label: "in 30 days" },
] as const

export function Rotate({ of: key, isOpen, close }: Opened & { readonly of: Key }) {
  const [grace, setGrace] = useState("86400")
  const rotate = useMutation({
    mutationFn: () =>
      given(
        waybill.POST("/v1/api-keys/{id}/rotate", {
          params: { path: { id: key.id } },
          body: { grace_seconds: Number(grace) },
        }),
      ),
    onSuccess: renewKeys,
  })
  const leave = () => {
    close()
    rotate.reset()
  }
  return (
    <Modal opened={isOpen} onClose={leave} title={`Replace ${key.name}`} size="lg">
      {rotate.data !== undefined ? (
        <Stack>
          <MadeKey name={rotate.data.name} text={rotate.data.key} scopes={rotate.data.scopes} close={leave} />
          <Text size="sm">
            The old one ends <Moment at={rotate.data.replaces.expires_at} style="full" />.
          </Text>
        </Stack>
      ) : (
        <Stack>
          <Text size="sm">
            A new key with the same rights is good at once. The old one goes on for a while, so that nothing stands
            still while you put the new one in its place.
          </Text>
          <Select
            label="The old one ends"
            data={[...graces]}
            value={grace}
            allowDeselect={false}
            onChange={value => setGrace(value ?? "86400")}
          />
          {rotate.error !== null && <Trouble error={rotate.error} />}
          <Group justify="flex-end">
            <Button variant="default" onClick={leave}>
              Leave it
            </Button>
            <Button onClick={() => rotate.mutate()} loading={rotate.isPending}>
              Make the new key
            </Button>
          </Group>
        </Stack>
      )}
    </Modal>
  )
}

export function Change({ of: key, isOpen, close }: Opened & { readonly of: Key }) {
  const form = useForm({
    initialValues: {
      name: key.name,
      expires_at: key.expires_at as string | null,
      max_requests_per_minute: (key.max_requests_per_minute ?? "") as number | "",
    },
  })
  const save = useMutation({
    mutationFn: ({ name, expires_at, max_requests_per_minute }: typeof form.values) =>
      waybill.PATCH("/v1/api-keys/{id}", {
        params: { path: { id: key.id } },
        body: {
          name,
          ...(expires_at !== key.expires_at && { expires_at: timeOf(expires_at) }),
          max_requests_per_minute: max_requests_per_minute === "" ? null : max_requests_per_minute,
        },
      }),
    onSuccess: async () => {
      await renewKeys()
      close()
    },
    onError: error => form.setErrors(faultsOfFields(error)),
  })
  return (
    <Modal opened={isOpen} onClose={close} title={`Change ${key.name}`}>
      <form onSubmit={form.onSubmit(values => save.mutate(values))}>
        <Stack>
          <TextInput label="Name" required withAsterisk={false} data-autofocus {...form.getInputProps("name")} />
          <DateTimePicker label="Ends" placeholder="Never" clearable {...form.getInputProps("expires_at")} />
          <NumberInput
            label="Requests a minute"
            placeholder="Any number"
            min={1}
            allowDecimal={false}
            {...form.getInputProps("max_requests_per_minute")}
          />
          <Alert variant="default">
            What it may do stays as it is: <Code>{key.scopes.join(", ") || "nothing more"}</Code>. For other rights make
            another key.
          </Alert>
          {save.error !== null && <Trouble error={save.error} />}
          <Group justify="flex-end">
            <Button variant="default" onClick={close}>
              Leave it
            </Button>
            <Button type="submit" loading={save.isPending}>
              Save
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  )
}
