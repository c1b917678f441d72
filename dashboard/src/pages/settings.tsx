/** The settings of the project: its name, how strict it is, how long payloads are kept, who is told, what stays private, its portal. */
import {
  Button,
  Card,
  Group,
  NumberInput,
  Select,
  Stack,
  Switch,
  TagsInput,
  Text,
  TextInput,
  Title,
} from "@mantine/core"
import { useForm } from "@mantine/form"
import { notifications } from "@mantine/notifications"
import { useMutation, useQuery } from "@tanstack/react-query"
import { WaybillProblem } from "waybill-sdk"
import { Guarded } from "../parts/access.tsx"
import { Copied } from "../parts/copied.tsx"
import { faultsOfFields } from "../parts/faults.ts"
import { Moment } from "../parts/moment.tsx"
import { Answered, Page, Trouble } from "../parts/page.tsx"
import { PortalSettings } from "../parts/portal-settings.tsx"
import { useProject } from "../parts/project.ts"
import { RemoveProject } from "../parts/remove-project.tsx"
import { type Answer, queries, sessionQuery, waybill } from "../waybill.ts"

type Project = Answer<"/v1/projects/{id}">

const payloadDays = [1, 3, 7, 14, 30] as const

export function Settings() {
  return (
    <Guarded scope="admin" title="Settings">
      <Page
        title="Settings"
        lead="Of this project. What the operator sets for all of Waybill is not here: see the status page."
      >
        <Loaded />
      </Page>
    </Guarded>
  )
}

function Loaded() {
  const query = useProject()
  const { data: session } = useQuery(sessionQuery)
  return (
    <Answered query={query}>
      {({ project, tag }) => (
        <Stack gap="lg">
          <Form key={tag} project={project} tag={tag} reload={() => void query.refetch()} />
          {session?.project.role === "owner" && <RemoveProject id={project.id} name={project.name} />}
        </Stack>
      )}
    </Answered>
  )
}

function Form({
  project,
  tag,
  reload,
}: {
  readonly project: Project
  readonly tag: string | null
  readonly reload: () => void
}) {
  const form = useForm({
    initialValues: {
      name: project.name,
      strict_types: project.strict_types,
      strict_apps: project.strict_apps,
      payload_days: String(project.payload_days),
      alert_emails: project.alert_emails ?? [],
      private_fields: project.private_fields,
      max_requests_per_minute: (project.max_requests_per_minute ?? "") as number | "",
      portal: {
        name: project.portal.name ?? "",
        color: project.portal.color ?? "",
        frame_origins: project.portal.frame_origins,
      },
    },
  })
  const save = useMutation({
    mutationFn: ({ payload_days: days, max_requests_per_minute: most, portal, ...rest }: typeof form.values) =>
      waybill.PATCH("/v1/projects/{id}", {
        params: { path: { id: project.id }, header: { "if-match": tag ?? "*" } },
        body: {
          ...rest,
          payload_days: payloadDays.find(each => String(each) === days) ?? 30,
          max_requests_per_minute: most === "" ? null : most,
          portal: { ...portal, name: portal.name.trim() || null, color: portal.color.trim() || null },
        },
      }),
    onSuccess: async () => {
      notifications.show({ message: "The settings are saved.", color: "waybill" })
      await Promise.all([queries.invalidateQueries({ queryKey: ["project"] }), queries.invalidateQueries(sessionQuery)])
    },
    onError: error => form.setErrors(faultsOfFields(error, ["portal"])),
  })
  const isOutdated = save.error instanceof WaybillProblem && save.error.status === 412
  return (
    <form onSubmit={form.onSubmit(values => save.mutate(values))}>
      <Stack maw={640} gap="lg">
        <Card withBorder>
          <Stack>
            <TextInput label="Name" required withAsterisk={false} {...form.getInputProps("name")} />
            <Group gap="xs">
              <Text size="sm" c="dimmed">
                Id
              </Text>
              <Copied text={project.id} />
              <Text size="sm" c="dimmed" component="div">
                made <Moment at={project.created_at} style="full" />
              </Text>
            </Group>
          </Stack>
        </Card>
        <Card withBorder>
          <Stack>
            <Title order={2} size="h4">
              What comes in
            </Title>
            <Switch
              label="Take only event types of the catalogue"
              description="Others, and data that breaks its type's schema, are refused with 422 and stand under Rejected requests."
              {...form.getInputProps("strict_types", { type: "checkbox" })}
            />
            <Switch
              label="Take only apps that were made by hand"
              description="Else an app comes into being with the first event that names it."
              {...form.getInputProps("strict_apps", { type: "checkbox" })}
            />
            <NumberInput
              label="Requests a minute"
              description="Of all keys of the project together. People who are signed in are not counted."
              placeholder="Any number"
              min={1}
              allowDecimal={false}
              {...form.getInputProps("max_requests_per_minute")}
            />
          </Stack>
        </Card>
        <Card withBorder>
          <Stack>
            <Title order={2} size="h4">
              What is kept
            </Title>
            <Select
              label="Payloads are kept for"
              description="What new events hold, and the bodies of requests and answers. What became of each event is kept for 30 days in any case."
              data={payloadDays.map(days => ({ value: String(days), label: days === 1 ? "1 day" : `${days} days` }))}
              allowDeselect={false}
              {...form.getInputProps("payload_days")}
            />
            <TagsInput
              label="Private fields"
              description="JSON pointers into an event's data, such as /customer/email. Receivers get their values, and nobody reads them here. It holds for what comes in from now on."
              placeholder="/customer/email"
              {...form.getInputProps("private_fields")}
            />
          </Stack>
        </Card>
        <Card withBorder>
          <Stack>
            <Title order={2} size="h4">
              Who is told
            </Title>
            <TagsInput
              label="E-mail addresses"
              description="They hear when an integration fails for long, is switched off, or works again. An empty list tells nobody."
              placeholder="ops@shop.example"
              splitChars={[",", " "]}
              {...form.getInputProps("alert_emails")}
            />
          </Stack>
        </Card>
        <PortalSettings
          name={form.values.portal.name.trim() || form.values.name}
          color={form.values.portal.color}
          field={name => form.getInputProps(name)}
        />
        {save.error !== null && <Trouble error={save.error} />}
        {isOutdated && (
          <Group>
            <Button variant="default" onClick={reload}>
              Show the settings as they are now
            </Button>
          </Group>
        )}
        <Group>
          <Button type="submit" loading={save.isPending} disabled={!form.isDirty()}>
            Save
          </Button>
          {form.isDirty() && (
            <Button variant="subtle" onClick={form.reset}>
              As it was
            </Button>
          )}
        </Group>
      </Stack>
    </form>
  )
}
