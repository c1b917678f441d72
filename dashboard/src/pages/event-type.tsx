/** One event type: what it means, the schema that its data meets, examples, and what of it is private. */
import { Alert, Anchor, Button, Group, Stack, TagsInput, Text, Textarea, Title } from "@mantine/core"
import { useForm } from "@mantine/form"
import { notifications } from "@mantine/notifications"
import { useMutation, useQuery } from "@tanstack/react-query"
import { Link, useNavigate, useParams } from "@tanstack/react-router"
import { WaybillProblem } from "waybill-sdk"
import { Guarded, useMay } from "../parts/access.tsx"
import { Payload } from "../parts/code.tsx"
import { Confirm } from "../parts/confirm.tsx"
import { faultsOfFields } from "../parts/faults.ts"
import { Moment } from "../parts/moment.tsx"
import { Answered, Page, Trouble } from "../parts/page.tsx"
import { type Answer, queries, waybill } from "../waybill.ts"

type EventType = Answer<"/v1/event-types/{name}">

export function EventTypePage() {
  const { name } = useParams({ from: "/signed-in/event-types/$name" })
  return (
    <Guarded scope="integrations:read" title={name}>
      <One key={name} name={name} />
    </Guarded>
  )
}

function One({ name }: { readonly name: string }) {
  const may = useMay()
  const query = useQuery({
    queryKey: ["event-types", name],
    // A form stands on it: what somebody types is not taken from under them.
    refetchOnWindowFocus: false,
    queryFn: async () => {
      try {
        const { data, response } = await waybill.GET("/v1/event-types/{name}", { params: { path: { name } } })
        return { type: data ?? null, tag: response.headers.get("etag") }
      } catch (error) {
        if (error instanceof WaybillProblem && error.status === 404) return { type: null, tag: null }
        throw error
      }
    },
  })
  const type = query.data?.type
  return (
    <Page
      title={name}
      lead={
        <>
          <Anchor component={Link} to="/event-types" size="sm">
            Event types
          </Anchor>{" "}
          {type === null && "· not in the catalogue yet"}
          {type?.reserved === true && "· Waybill's own: it cannot be changed"}
          {type?.updated_at != null && (
            <>
              · changed <Moment at={type.updated_at} style="ago" />
            </>
          )}
        </>
      }
      actions={
        <>
          <Button component={Link} to={`/events?type=${encodeURIComponent(name)}`} variant="default">
            Its events
          </Button>
          {may("integrations:write") && type != null && !type.reserved && <Remove name={name} />}
        </>
      }
    >
      <Answered query={query}>
        {({ type: found, tag }) =>
          found?.reserved === true || !may("integrations:write") ? (
            <Shown type={found} />
          ) : (
            <Form key={tag} name={name} type={found} tag={tag} />
          )
        }
      </Answered>
    </Page>
  )
}

function Remove({ name }: { readonly name: string }) {
  const navigate = useNavigate()
  return (
    <Confirm
      label="Remove"
      title={`Take ${name} out of the catalogue?`}
      action="Remove it"
      run={async () => {
        await waybill.DELETE("/v1/event-types/{name}", { params: { path: { name } } })
        await navigate({ to: "/event-types" })
        await queries.invalidateQueries({ queryKey: ["event-types"] })
      }}
    >
      Events of this type stay. Where the project takes types of the catalogue only, further ones are refused.
    </Confirm>
  )
}

/** For who may not change it, and of those that nobody changes. */
function Shown({ type }: { readonly type: EventType | null }) {
  if (type === null) {
    return (
      <Alert variant="default">
        This type is not in the catalogue. A developer, admin or owner of the project can add it.
      </Alert>
    )
  }
  return (
    <Stack maw={820}>
      <Text>{type.description ?? "Nobody has described it yet."}</Text>
      {type.private_fields.length > 0 && <Text size="sm">Private: {type.private_fields.join(", ")}</Text>}
      <Title order={2} size="h4">
        Schema
      </Title>
      {type.schema === null ? (
        <Text size="sm">None: any data is taken.</Text>
      ) : (
        <Payload text={JSON.stringify(type.schema)} name={`${type.name}.schema.json`} label="the schema" />
      )}
      <Title order={2} size="h4">
        Examples
      </Title>
      {type.examples.length === 0 && <Text size="sm">None yet.</Text>}
      {type.examples.map((example, i) => {
        const text = JSON.stringify(example)
        return <Payload key={text} text={text} name={`${type.name}.json`} label={`example ${i + 1}`} />
      })}
    </Stack>
  )
}

const startingSchema = `{
  "type": "object",
  "required": ["amount"],
  "properties": { "amount": { "type": "number" } }
}`

function Form({
  name,
  type,
  tag,
}: {
  readonly name: string
  readonly type: EventType | null
  readonly tag: string | null
}) {
  const form = useForm({
    initialValues: {
      description: type?.description ?? "",
      schema: type?.schema == null ? "" : JSON.stringify(type.schema, null, 2),
      examples: type === null || type.examples.length === 0 ? "" : JSON.stringify(type.examples, null, 2),
      private_fields: type?.private_fields ?? [],
    },
    validate: {
      schema: text => (text.trim() === "" ? null : faultOfJson(text)),
      examples: text =>
        text.trim() === ""
          ? null
          : (faultOfJson(text) ?? (Array.isArray(JSON.parse(text)) ? null : "It has to be a list: [ … ].")),
    },
  })
  const save = useMutation({
    mutationFn: ({ description, schema, examples, private_fields }: typeof form.values) =>
      waybill.PUT("/v1/event-types/{name}", {
        params: { path: { name }, header: tag === null ? { "if-none-match": "*" } : { "if-match": tag } },
        body: {
          description: description.trim() === "" ? null : description,
          schema: schema.trim() === "" ? null : JSON.parse(schema),
          examples: examples.trim() === "" ? [] : JSON.parse(examples),
          private_fields,
        },
      }),
    onSuccess: async () => {
      notifications.show({ message: `${name} is saved.`, color: "waybill" })
      await queries.invalidateQueries({ queryKey: ["event-types"] })
    },
    onError: error => form.setErrors(faultsOfFields(error)),
  })
  return (
    <form onSubmit={form.onSubmit(values => save.mutate(values))}>
      <Stack maw={820}>
        <Textarea
          label="What it means"
          description="For whoever reads the feed or sets up an integration."
          autosize
          minRows={2}
          maxLength={2_000}
          {...form.getInputProps("description")}
        />
        {/* No JsonInput: its own mark of a mistake hides the words that say what is wrong. */}
        <Textarea
          label="Schema"
          description="JSON Schema (2020-12) that data must meet where the project is strict; without regular expressions. Empty: none."
          placeholder={startingSchema}
          autosize
          minRows={5}
          maxRows={24}
          spellCheck={false}
          classNames={{ input: "mono" }}
          {...form.getInputProps("schema")}
        />
        <Textarea
          label="Examples"
          description="A list of data as such events have it, at most 20. Test events and the form of filters take them."
          placeholder='[{ "amount": 12.5 }]'
          autosize
          minRows={4}
          maxRows={24}
          spellCheck={false}
          classNames={{ input: "mono" }}
          {...form.getInputProps("examples")}
        />
        <TagsInput
          label="Private fields"
          description="JSON pointers into data, such as /customer/email: receivers get their values, nobody reads them here. Those of the project hold as well."
          placeholder="/customer/email"
          {...form.getInputProps("private_fields")}
        />
        {save.error !== null && <Trouble error={save.error} />}
        {save.error instanceof WaybillProblem && save.error.status === 412 && (
          <Button
            variant="default"
            onClick={() => void queries.invalidateQueries({ queryKey: ["event-types", name] })}
            w="fit-content"
          >
            Show it as it is now
          </Button>
        )}
        <Group>
          <Button type="submit" loading={save.isPending} disabled={type !== null && !form.isDirty()}>
            {type === null ? "Add it to the catalogue" : "Save"}
          </Button>
        </Group>
      </Stack>
    </form>
  )
}

/** Where a text is no JSON, in the words of the browser, which name the place. */
function faultOfJson(text: string): string | null {
  try {
    JSON.parse(text)
    return null
  } catch (error) {
    return `This is no JSON: ${error instanceof Error ? error.message : "see its brackets and quotes"}.`
  }
}
