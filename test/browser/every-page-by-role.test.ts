/** What every page of the dashboard shows to those who may not do everything. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { assertAccessible, Dashboard } from "../help/dashboard.ts"
import { Faults, isForStrangers, openPage, routesOf } from "../help/every-page.ts"
import { addressesOf, fillShop } from "../help/shop.ts"

/** What each role must not have before it, on any page. */
const hidden = {
  viewer: /Bearer 6f1c2d5e8a|whsec_\w|@mail\.example|"country"/,
  support: /Bearer 6f1c2d5e8a|whsec_\w/,
}

/** Buttons of what only others may do. */
const notForViewers =
  /^(Save|Retry now|Replay|Make|Invite|Revoke|Remove|Add|Rotate|Pause the|Resume|Enable|Disable|Switch o(n|ff)\b|Verify|Send test)/

test("viewers and support see no secret, no button that they may not use, and who could, in place of pages not for them", async t => {
  const dashboard = await Dashboard.ofOwner(t)
  await using shop = await fillShop({ call: (...asked) => dashboard.call(...asked), days: 0 })
  const addresses = addressesOf(await routesOf(dashboard.page), shop).filter(address => !isForStrangers(address))
  const faults = new Faults()
  await Promise.all(
    (["viewer", "support"] as const).map(async role => {
      const page = await dashboard.ofPerson(`${role}@northwind.example`, role)
      const refused: string[] = []
      page.on("response", response => {
        if (response.status() === 403) refused.push(`${response.request().method()} ${response.url()} on ${page.url()}`)
      })
      for (const address of addresses) {
        await openPage(dashboard, page, address)
        const main = page.getByRole("main")
        const text = await main.innerText()
        const found = hidden[role].exec(text)
        if (found !== null) await faults.hold(Promise.reject(new Error(`${role} reads "${found[0]}" on ${address}`)))
        if (/Your role does not show this/.test(text)) {
          assert.match(text, /Ask an owner or admin of the project/, `${address} says to ${role} whom to ask`)
        }
        const buttons = await main.getByRole("button").or(main.getByRole("menuitem")).allInnerTexts()
        const wrong = role === "viewer" ? buttons.filter(name => notForViewers.test(name)) : []
        if (wrong.length > 0) await faults.hold(Promise.reject(new Error(`${role} has ${wrong} on ${address}`)))
        await faults.hold(assertAccessible(page, `${address} as ${role}`, ["aria-valid-attr-value", "button-name"]))
      }
      assert.deepEqual(refused, [], `pages ask for what ${role} may not have`)
    }),
  )
  faults.assertNone()
})
