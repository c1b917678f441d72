/** What a repeat of an event is known by: all that its sender says in it (API-51). */
import { createHash, hash } from "node:crypto"
import type { CloudAttributes, EventDraft, Payload } from "./event.ts"

/**
 * SHA-256 in base64url over the fields of the envelope and the raw data. Two drafts have the same one if they say the
 * same, whatever the order of fields and the white space between them was; `data` counts as it was written. To be taken
 * only where a repeat has to be recognised: it costs 2 µs for 1 KiB, as much as reading the event.
 */
export function fingerprintOf(draft: EventDraft): string {
  const { payload } = draft
  const head = `${JSON.stringify([...envelopeOf(draft), payload.kind, mediaTypeOf(payload)])}\n`
  switch (payload.kind) {
    case "json":
    case "text":
      return hash("sha256", head + payload.text, "base64url")
    case "bytes":
      return createHash("sha256").update(head).update(payload.bytes).digest("base64url")
    case "none":
      return hash("sha256", head, "base64url")
  }
}

/** In an order that must never change: what was stored last week is compared with what comes in today. */
function envelopeOf(draft: EventDraft): unknown[] {
  return [
    draft.type,
    draft.externalId,
    draft.source,
    draft.occurredAt,
    draft.environment,
    draft.app,
    draft.profileId,
    draft.deviceId,
    draft.sourceRecord,
    draft.orderingKey,
    draft.historical,
    draft.cloud === null ? null : attributesOf(draft.cloud),
  ]
}

function attributesOf({ subject, dataschema, datacontenttype, time, extensions }: CloudAttributes): unknown[] {
  const inOrder = Object.entries(extensions).sort(([a], [b]) => (a < b ? -1 : 1))
  return [subject ?? null, dataschema ?? null, datacontenttype ?? null, time ?? null, inOrder]
}

function mediaTypeOf(payload: Payload): string | null {
  return payload.kind === "text" || payload.kind === "bytes" ? payload.mediaType : null
}
