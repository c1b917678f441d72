/** What the portal of a project looks like and who may frame it: settings of the project, which its page is served by. */
import assert from "node:assert/strict"
import { after, before, describe, test } from "node:test"
import { items } from "../help/items.ts"
import { Program } from "../help/program.ts"

let program: Program
before(async () => {
  program = await Program.open()
})
after(() => program[Symbol.asyncDispose]())

describe("the settings of a portal", () => {
  const pathOf = async () => `/v1/projects/${items((await program.call("GET", "/v1/projects")).data)[0]?.id}`
  const pageOf = async (path: string) => {
    const response = await fetch(program.url + path, { headers: { accept: "text/html" } })
    const policy = response.headers.get("content-security-policy") ?? ""
    return {
      status: response.status,
      framers: /frame-ancestors ([^;]*)/.exec(policy)?.[1],
      text: await response.text(),
    }
  }

  test("are changed one by one, and taken back together", async () => {
    const path = await pathOf()
    const change = async (portal: unknown) => (await program.call("PATCH", path, { portal }))["portal"]
    const frame_origins = ["https://app.shop.example", "http://localhost:3000"]
    assert.deepEqual(await change({ name: "Shop", color: null, frame_origins }), {
      name: "Shop",
      color: null,
      frame_origins,
    })
    assert.deepEqual(await change({ color: "#0B5FFF" }), { name: "Shop", color: "#0b5fff", frame_origins })
    assert.deepEqual(await change({ name: null }), { name: null, color: "#0b5fff", frame_origins })
    assert.deepEqual(await change(null), { name: null, color: null, frame_origins: [] })
  })

  test("are refused where they are none, each with a sentence that says what would do", async () => {
    const path = await pathOf()
    for (const [portal, pointer, says] of [
      [{ color: "blue" }, "/portal/color", /#rrggbb, such as #0b5fff/],
      [{ color: "#0b5" }, "/portal/color", /#rrggbb/],
      [{ name: "" }, "/portal/name", /name/],
      [
        { frame_origins: ["http://app.shop.example"] },
        "/portal/frame_origins/0",
        /https:\/\/app\.shop\.example: https/,
      ],
      [{ frame_origins: ["https://app.shop.example/"] }, "/portal/frame_origins/0", /without a path/],
      [{ frame_origins: ["https://*.shop.example"] }, "/portal/frame_origins/0", /or a `\*`/],
      [{ frame_origins: ["https://a.example; script-src *"] }, "/portal/frame_origins/0", /must be an origin/],
      [{ frame_origins: ["https://a.example\nx"] }, "/portal/frame_origins/0", /must be an origin/],
      [{ colour: "#0b5fff" }, "/portal/colour", /colour/],
    ] as const) {
      const { status, body } = await program.ask("PATCH", path, { portal })
      assert.deepEqual([status, body.errors?.[0]?.pointer], [422, pointer], JSON.stringify(body))
      assert.match(String(body.errors?.[0]?.message), says)
    }
  })

  test("say which pages may hold it in a frame: of the project's own portal alone, and nobody where none is named", async () => {
    const path = await pathOf()
    const project = path.split("/").at(-1)
    assert.equal((await pageOf(`/portal/${project}`)).framers, "'none'")
    const frame_origins = ["https://app.shop.example", "http://localhost:3000"]
    await program.call("PATCH", path, { portal: { frame_origins } })
    for (const address of [`/portal/${project}`, `/portal/${project}/events/evt_1?delivery=x`]) {
      const { status, framers } = await pageOf(address)
      assert.deepEqual([status, framers], [200, frame_origins.join(" ")], address)
    }
    for (const address of [
      "/",
      "/events",
      "/portal",
      "/portal/prj_0000000000a",
      `/portalx/${project}`,
      `/x/portal/${project}`,
    ])
      assert.equal((await pageOf(address)).framers, "'none'", address)
    await program.call("PATCH", path, { portal: null })
  })
})
