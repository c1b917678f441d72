/** A page of the portal that follows live while the owner makes integrations, and opens them to others. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { Endpoint } from "../help/endpoint.ts"
import { Program } from "../help/program.ts"
import { StreamListener, type StreamMessage } from "../help/stream-listener.ts"

async function openPage(program: Program, query = ""): Promise<StreamListener> {
  const { token } = await program.call("POST", "/v1/portal-tokens", { app: "acme" })
  const listener = await StreamListener.open({ url: program.url, key: String(token) }, { query })
  await listener.until(() => /^id: tim_/m.test(listener.raw))
  return listener
}

const isEvent = (type: string) => (message: StreamMessage) => message.name === "event" && message.data["type"] === type

test("an open page is told of an integration that was made after it was opened, and no more of one that is others' by now", async () => {
  await using program = await Program.open()
  await using there = await Endpoint.open()
  for (const name of ["acme", "others"]) await program.call("POST", "/v1/apps", { name })
  using page = await openPage(program)

  const crm = await program.integrate(there.url(), { name: "CRM of Acme", apps: ["acme"] })
  await program.send({ type: "made", app: "acme" })
  const attempt = await page.find(({ name }) => name === "attempt")
  assert.equal((attempt.data["integration"] as { id?: string }).id, crm)
  assert.deepEqual((await page.find(isEvent("made"))).data["integrations"], [crm])

  await program.call("PATCH", `/v1/integrations/${crm}`, { apps: ["acme", "others"] })
  await program.send({ type: "opened", app: "acme" })
  await program.recorded(2)
  // What is told after it says that the attempt at that one would have been told by now.
  await program.send({ type: "last", app: "acme" })
  await page.find(isEvent("last"))
  assert.deepEqual((await page.find(isEvent("opened"))).data["integrations"], [])
  const after = page.messages.slice(page.messages.findIndex(isEvent("opened")))
  assert.deepEqual(
    after.filter(({ name }) => name === "attempt"),
    [],
  )
})

test("a page that follows one integration ends when that is others' too, and says why", async () => {
  await using program = await Program.open()
  await using there = await Endpoint.open()
  await program.call("POST", "/v1/apps", { name: "acme" })
  const crm = await program.integrate(there.url(), { name: "CRM of Acme", apps: ["acme"] })
  using page = await openPage(program, `?integration=${crm}`)
  await program.call("PATCH", `/v1/integrations/${crm}`, { apps: [] })
  await page.ended
  const bye = await page.find(({ name }) => name === "bye")
  assert.equal(bye.data["reason"], "unauthorized")
  assert.match(String(bye.data["detail"]), /integration that this stream asks for/)
})
