/** Tokens of the portal in the store: which of them retention lets go, and that no key goes with them. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { unlimited } from "../../src/domain/limits.ts"
import { generateKey, generatePortalToken, insertKey, isPlausibleKey, listKeys, shownOf } from "../../src/store/keys.ts"
import { Retention } from "../../src/store/retention.ts"
import { clearPlace, newPlace, openAt } from "../help/engines.ts"

const NOW = Date.UTC(2026, 10, 21, 10)
const DAY = 86_400_000

test("tokens of the portal go a day after their end; keys stay, however long past theirs", async t => {
  const place = await newPlace()
  const store = await openAt(place, () => NOW)
  t.after(() => clearPlace(place))
  t.after(() => store.close())
  const given = {
    project: 7,
    name: "k",
    scopes: [],
    limits: unlimited,
    at: 0,
    maxRequestsPerMinute: null,
    createdBy: null,
  }
  const insert = (id: number, kind: "secret" | "portal", expiresAt: number) => {
    const secret = kind === "portal" ? generatePortalToken() : generateKey()
    return insertKey(store.db, { ...given, id, kind, secret, expiresAt })
  }
  await insert(1, "secret", NOW - 9 * DAY)
  await insert(2, "portal", NOW - DAY)
  await insert(3, "portal", NOW - DAY + 1)
  const steps = new Retention(store).steps(NOW, true).filter(({ name }) => name === "tokens of portals")
  let gone = 0
  for (const step of steps) for await (const { counts } of step.pieces()) gone += counts.api_key ?? 0
  assert.equal(gone, 1)
  const left = async (kind: "secret" | "portal") =>
    (await listKeys(store.db, 7, kind, { before: Number.MAX_SAFE_INTEGER, limit: 10 })).map(({ id }) => id)
  assert.deepEqual([await left("secret"), await left("portal")], [[1], [3]])
})

test("a token of the portal is told from a key by how it begins, and from a typo by its checksum", () => {
  const token = generatePortalToken()
  assert.match(token, /^wb_pt_[0-9A-Za-z]{36}$/)
  assert.equal(shownOf(token).prefix, "wb_pt_")
  assert.equal(isPlausibleKey(token), true)
  assert.equal(isPlausibleKey(`${token.slice(0, -1)}${token.endsWith("0") ? "1" : "0"}`), false)
})
