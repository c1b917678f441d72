/** How the endpoints of an integration stand with its lane, as the API shows it: what rests, why, until when, what waits. */
import { type Static, Type } from "typebox"
import type { IntegrationId } from "../domain/id.ts"
import { DUE } from "../domain/queue.ts"
import type { OriginView } from "../engine/gate.ts"
import { COUNTED, countQueue } from "../store/held-reads.ts"
import type { Context } from "./context.ts"
import { Nullable, Time, timeText } from "./schemas.ts"

const Count = Type.Object(
  {
    count: Type.Integer(),
    or_more: Type.Boolean({ description: `It was counted up to ${COUNTED.toLocaleString("en")} only.` }),
  },
  { examples: [{ count: COUNTED, or_more: true }] },
)

const OriginProtection = Type.Object({
  origin: Type.String({ examples: ["https://api.example.com"] }),
  state: Type.Enum(["closed", "open", "probing", "easing"], {
    description:
      "`closed`: in order. `open`: it rests, and nothing is sent. `probing`: one attempt is under way to try it. `easing`: traffic comes back, twice as much each second.",
  }),
  since: Nullable(Time, "Since when it is in trouble; null while it is closed."),
  errors: Nullable(Type.Integer({ description: "Attempts that failed in the window that it was judged by." })),
  successes: Nullable(Type.Integer({ description: "Attempts that succeeded in the same window." })),
  next_probe_at: Nullable(Time, "When the next attempt is let through to try it, while it rests."),
  limit: Nullable(Type.Integer({ description: "Requests that it gets at a time while it eases." })),
  paused_until: Nullable(Time, "It asked to be left alone until then (Retry-After)."),
  waiting: Count,
})

/** The lane of an integration. */
export const ProtectionView = Type.Object({
  origins: Type.Array(OriginProtection, {
    description: "By scheme, host and port: those that it sends to, as far as anything was sent since the start.",
  }),
  concurrency_limit: Type.Integer({
    description:
      "Requests at a time: max_concurrent, or less where the endpoint has shown strain (429, 502 to 504, time-outs).",
  }),
  budget_used_up_until: Nullable(Time, "Nobody of its budget sends before then."),
  waiting: Count,
})
export type ProtectionView = Static<typeof ProtectionView>

/** The lane as it stands now; undefined where it has none. */
export async function viewOfProtection(
  { engine, store, now }: Pick<Context, "engine" | "store" | "now">,
  id: IntegrationId,
): Promise<ProtectionView | undefined> {
  const lane = engine.lane(id)
  if (lane === undefined) return undefined
  const at = now()
  const views = lane.gate.view(at)
  const held = await Promise.all(views.map(({ queue }) => countQueue(store.reads, id, queue, Number.MAX_SAFE_INTEGER)))
  const due = await countQueue(store.reads, id, DUE, at)
  return {
    origins: views.map((view, i) => viewOfOrigin(view, held[i] ?? 0)),
    concurrency_limit: lane.places,
    budget_used_up_until: timeText(lane.budget?.usedUpUntil(at) ?? null),
    waiting: countView(held.reduce((sum, count) => sum + count, due)),
  }
}

function viewOfOrigin(
  { origin, state, opensAt, pausedUntil }: OriginView,
  held: number,
): Static<typeof OriginProtection> {
  const judged = state.state === "closed" ? null : state
  return {
    origin,
    state: state.state,
    since: timeText(judged?.since ?? null),
    errors: judged?.errors ?? null,
    successes: judged?.successes ?? null,
    next_probe_at: timeText(state.state === "open" ? opensAt : null),
    limit: state.state === "easing" ? state.limit : null,
    paused_until: timeText(pausedUntil),
    waiting: countView(held),
  }
}

function countView(count: number): Static<typeof Count> {
  return { count: Math.min(count, COUNTED), or_more: count > COUNTED }
}
