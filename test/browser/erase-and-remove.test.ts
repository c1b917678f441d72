/** What goes for good: a person who asked to be forgotten, and a project that is not needed any more. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { assertAccessible, Dashboard, owner } from "../help/dashboard.ts"

test("an owner erases a person, and removes a further project by typing its name", async t => {
  const dashboard = await Dashboard.ofOwner(t)
  const { page } = dashboard
  for (const profile_id of ["cus_1", "cus_1", "cus_2"]) {
    await dashboard.call("POST", "/v1/events", { type: "order.paid", profile_id, data: { city: "Oslo" } })
  }
  await dashboard.visit("/profiles/cus_1")
  const table = page.getByRole("table", { name: "Events of the profile, newest first" })
  await table.getByRole("row").nth(2).waitFor()
  await page.getByRole("button", { name: "Erase this person" }).click()
  const dialog = page.getByRole("dialog", { name: "Erase this person for good?" })
  await dialog.getByText("What was delivered stays with its receivers").waitFor()
  await assertAccessible(page, "the question before a person is erased")
  await dialog.getByRole("button", { name: "Erase them" }).click()
  await page.getByText("This person is erased").waitFor()
  await page.getByRole("status").getByText("2 events").waitFor()
  await page.getByText("No events of this profile").waitFor()
  await assertAccessible(page, "a person who is erased")
  const left = (await dashboard.call("GET", "/v1/events")) as {
    readonly data: readonly { readonly profile_id: string }[]
  }
  assert.deepEqual(
    left.data.map(({ profile_id }) => profile_id),
    ["cus_2"],
  )
  await page.reload()
  await page.getByText("This person is erased").waitFor()

  // A role that reads events erases nobody.
  const support = await dashboard.ofPerson("sam@shop.example", "support")
  await dashboard.visit("/profiles/cus_2", support)
  await support.getByRole("link", { name: "Filter its events" }).waitFor()
  assert.equal(await support.getByRole("button", { name: "Erase this person" }).count(), 0)

  await page.getByRole("button", { name: /^Project .*: change$/ }).click()
  await page.getByRole("menuitem", { name: "Make a further project" }).click()
  await page.getByRole("textbox", { name: "Name" }).fill("Old shop")
  await page.getByRole("button", { name: "Make the project" }).click()
  await page.getByRole("button", { name: "Go to Old shop" }).click()
  await page.getByRole("button", { name: "Project Old shop: change" }).waitFor()
  await dashboard.visit("/settings")
  await page.getByRole("button", { name: "Remove the project" }).click()
  const question = page.getByRole("dialog", { name: "Remove Old shop for good?" })
  const name = question.getByRole("textbox", { name: "The project's name" })
  await name.fill("Shop")
  await question.getByRole("button", { name: "Remove it for good" }).click()
  await question.getByText('This project is called "Old shop"').waitFor()
  await assertAccessible(page, "the question before a project is removed, with another name")
  await name.fill("Old shop")
  await question.getByRole("button", { name: "Remove it for good" }).click()
  await page.getByRole("heading", { level: 1, name: "Sign in to Waybill" }).waitFor()
  const said = page.getByRole("status").filter({ hasText: "Old shop is removed" })
  const progress = /http:\S+\/v1\/removals\/\S+/.exec(await said.innerText())?.[0] ?? ""
  assert.equal((await fetch(progress)).status, 200, "how far it is can be read")
  await assertAccessible(page, "the sign-in after a project was removed")

  await dashboard.signIn(page, owner)
  await page.getByRole("button", { name: /^Project .*: change$/ }).click()
  await page.getByText("Your only project").waitFor()
})
