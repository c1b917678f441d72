/** What the API's sentences tell to do by a call, a page of the dashboard offers as a link. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { type Piece, piecesOf } from "../dashboard/src/parts/api-calls.ts"
import { type ReasonRow, reasonCodes } from "../src/domain/reason.ts"
import { reasonTable } from "../src/domain/reason-table.ts"
import { fill } from "../src/domain/sentence.ts"
import { verdictTable } from "../src/domain/verdict-table.ts"

const behind = "dlv_01j9zq4kx2m01j9zq4kx2n"

/** As one reads it on the page. */
const read = (pieces: readonly Piece[]) =>
  pieces.map(piece => (typeof piece === "string" ? piece : piece.words)).join("")
const linksIn = (pieces: readonly Piece[]) =>
  pieces.flatMap(piece => (typeof piece === "string" ? [] : [[piece.to, piece.search ?? {}]]))

test("no advice of a reason or a verdict names a call where a page shows it", () => {
  const rows: ReasonRow[] = reasonCodes.map(code => reasonTable[code])
  const advices = [
    ...rows.flatMap(row => [
      row.advice,
      ...Object.values(row.variants?.wordings ?? {}).map(({ advice }) => advice ?? ""),
    ]),
    ...Object.values(verdictTable).flatMap(row => JSON.stringify(row).match(/"advice":"[^"]*"/g) ?? []),
  ]
  let links = 0
  for (const advice of advices) {
    const pieces = piecesOf(fill(advice, { behind, field: "email" }))
    links += linksIn(pieces).length
    assert.doesNotMatch(read(pieces), /\/v1\//, advice)
  }
  assert.ok(links > 15, `${links} links`)
})

test("a sentence reads on with the link in the call's place, and leads to what it is about", () => {
  const about = { integration: "int_01j9zq4kx2m", since: "2026-11-21T10:00:00Z" }
  const recover = piecesOf("Enable it, then replay what it missed with POST /v1/recoveries.", about)
  assert.equal(read(recover), "Enable it, then replay what it missed with a recovery.")
  assert.deepEqual(linksIn(recover), [
    ["/recoveries/new", { integration: "int_01j9zq4kx2m", from: "2026-11-21T10:00:00Z" }],
  ])
  const refused = piecesOf("GET /v1/rejections shows what was refused; GET /v1/api-keys when each key last sent one.")
  assert.equal(
    read(refused),
    "The page of rejected requests shows what was refused; the page of API keys when each key last sent one.",
  )
  const enable = piecesOf(`Enable it with POST /v1/integrations/int_01j9zq4kx2m/enable, then retry.`)
  assert.equal(read(enable), "Enable it on its page, then retry.")
  assert.deepEqual(linksIn(enable), [["/integrations/int_01j9zq4kx2m", {}]])
  const line = piecesOf(`Retry it with POST /v1/deliveries/${behind}/retry, or mend it.`)
  assert.deepEqual(linksIn(line), [[`/deliveries/${behind}`, {}]])
})

test("a call that no page does, and a text without any, stay as they are", () => {
  for (const text of [
    "It answers 404.",
    "Set it with POST /v1/profiles/prf_1/identifiers.",
    "GET it from /v1/recoveries",
    "",
  ])
    assert.deepEqual(piecesOf(text), text === "" ? [] : [text])
})
