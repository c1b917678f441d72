/** The settings of an integration, in the form that its connector's schema gives. */
import { Fieldset, Stack, TagsInput, Text, TextInput } from "@mantine/core"
import { useQuery } from "@tanstack/react-query"
import { type FormEvent, useEffect, useState } from "react"
import { useMay } from "../parts/access.tsx"
import { Answered } from "../parts/page.tsx"
import { type Catalogue, catalogueQuery, type Json, patchBetween, renew, type Tagged } from "./data.ts"
import { notesOf } from "./endpoint-notes.tsx"
import { type PolicyDraft, PolicyForm, PolicyWords } from "./policy.tsx"
import { useSave } from "./save.ts"
import { SaveBar } from "./save-bar.tsx"
import { SchemaForm } from "./schema-form.tsx"

export function IntegrationSettings(tagged: Tagged) {
  const catalogue = useQuery(catalogueQuery)
  // What was read last stays below the form until it is saved or given up.
  const [held, hold] = useState(tagged)
  const isMine = held.tag === tagged.tag
  return (
    <Answered query={catalogue}>
      {data => (
        <Form
          key={held.integration.revision}
          tagged={held}
          isNewer={!isMine && held.integration.revision !== tagged.integration.revision}
          catalogue={data}
          take={() => hold(tagged)}
          current={tagged}
        />
      )}
    </Answered>
  )
}

function Form({
  tagged,
  current,
  isNewer,
  catalogue,
  take,
}: {
  readonly tagged: Tagged
  readonly current: Tagged
  /** Another revision has come in since this form was opened. */
  readonly isNewer: boolean
  readonly catalogue: Catalogue
  readonly take: () => void
}) {
  const may = useMay()
  const { integration } = tagged
  const connector = catalogue.data.find(({ name }) => name === integration.connector)
  const kept = draftOf(tagged, catalogue)
  const [draft, setDraft] = useState(kept)
  const saving = useSave(tagged)
  const patch = patchOf(kept, draft)
  const isChanged = patch !== undefined
  // Nothing was typed, or it has been saved: what came in meanwhile takes the form over.
  const isToTake = isNewer && (!isChanged || saving.isDone)
  useEffect(() => {
    if (isToTake) take()
  }, [isToTake, take])
  const { faults } = saving
  if (connector === undefined) return <Text>Its connector {integration.connector} is not known here.</Text>
  if (!may("integrations:write")) {
    return (
      <Stack>
        <Text size="sm">Your role reads settings and does not change them. How it delivers:</Text>
        <PolicyWords policy={integration.policy} />
      </Stack>
    )
  }
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    if (patch !== undefined) saving.save(patch)
  }
  const discard = async (): Promise<void> => {
    await renew(integration.id)
    setDraft(draftOf(current, catalogue))
    saving.reset()
    take()
  }
  return (
    <form onSubmit={submit} noValidate>
      <Stack gap="lg" maw={860}>
        <Fieldset legend={connector.title}>
          <Stack>
            <TextInput
              label="Name"
              required
              value={draft.name}
              onChange={({ currentTarget }) => setDraft({ ...draft, name: currentTarget.value })}
              error={faults.get("/name")}
            />
            <TagsInput
              label="Apps"
              description="Limits it to events of these apps. Empty: all."
              value={[...draft.apps]}
              onChange={apps => setDraft({ ...draft, apps })}
              error={[...faults].find(([pointer]) => pointer.startsWith("/apps"))?.[1]}
            />
          </Stack>
        </Fieldset>
        <SchemaForm
          schema={connector.settings}
          value={draft.config}
          onChange={config => setDraft({ ...draft, config })}
          pointer="/config"
          faults={faults}
          notes={notesOf(draft.config, connector)}
        />
        <Fieldset legend="Retries and limits">
          <PolicyForm
            draft={draft.policy}
            onChange={policy => setDraft({ ...draft, policy })}
            catalogue={catalogue}
            faults={faults}
          />
        </Fieldset>
        <SaveBar saving={saving} isChanged={isChanged} discard={() => void discard()} />
      </Stack>
    </form>
  )
}

interface Draft {
  readonly name: string
  readonly apps: readonly string[]
  readonly config: Json
  readonly policy: PolicyDraft
}

/** The form as it is opened: of the policy, the preset and what differs from it. */
function draftOf({ integration }: Tagged, { presets }: Catalogue): Draft {
  const { name, apps, config, policy } = integration
  const preset = presets.find(each => each.name === policy.preset) ?? presets[0]
  const own = Object.entries(policy).filter(
    ([field, value]) =>
      field !== "preset" && JSON.stringify(value) !== JSON.stringify((preset?.policy as Json | undefined)?.[field]),
  )
  return { name, apps, config, policy: { ...Object.fromEntries(own), preset: preset?.name ?? "standard" } }
}

/** What is to be sent; undefined where nothing differs. A preset, where it is named, begins anew: so it goes with all that differs. */
function patchOf(from: Draft, to: Draft): Json | undefined {
  const { policy: before, ...rest } = from
  const { policy: after, ...other } = to
  const patch = patchBetween(rest, other) as Json | undefined
  const isSame = JSON.stringify(sorted(before)) === JSON.stringify(sorted(after))
  return patch === undefined && isSame ? undefined : { ...patch, ...(!isSame && { policy: after }) }
}

function sorted(object: Json): readonly (readonly [string, unknown])[] {
  return Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1))
}
