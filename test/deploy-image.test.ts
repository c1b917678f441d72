/** The container image: made of what is there, nothing runs as root, signals and health checks reach the program. */
import assert from "node:assert/strict"
import { existsSync } from "node:fs"
import { join } from "node:path"
import test from "node:test"
import { nodeOptions } from "../scripts/runtime.mjs"
import {
  allOf,
  assertRoute,
  checkHealth,
  image,
  imageStages,
  imageVariables,
  last,
  listen,
  read,
  root,
  sourcesOf,
  textOf,
} from "./help/deployment.ts"
import { execForm, letThrough } from "./help/dockerfile.ts"

test("the image is made of files that are there, and of no others", () => {
  const stages = imageStages()
  const through = letThrough(read(".dockerignore"))
  const copies = stages.flatMap(stage => allOf(stage, "COPY"))
  const fromTree = copies.filter(({ flags }) => flags["from"] === undefined).flatMap(sourcesOf)
  assert.deepEqual([...new Set(fromTree)].sort(), [...through].sort())
  assert.deepEqual(
    fromTree.filter(path => !existsSync(join(root, path))),
    [],
  )
  for (const [i, stage] of stages.entries()) {
    const before = stages.slice(0, i).map(({ name }) => name)
    const named = [...allOf(stage, "COPY").map(({ flags }) => flags["from"])].filter(name => name !== undefined)
    assert.deepEqual(
      named.filter(name => !before.includes(name)),
      [],
    )
  }
})

test("the image holds what the build makes and the dependencies that it runs with, at the pinned versions", () => {
  const stages = imageStages()
  const copies = allOf(last(stages), "COPY").map(copy => ({ from: copy.flags["from"], sources: sourcesOf(copy) }))
  assert.ok(copies.some(({ from, sources }) => from === "built" && sources.includes("/build/dist")))
  assert.ok(copies.some(({ from, sources }) => from === "needed" && sources.includes("/build/node_modules")))
  assert.ok(copies.some(({ from, sources }) => from === "needed" && sources.includes("/build/node")))
  const needed = stages.find(({ name }) => name === "needed")
  assert.match(
    textOf(needed, "RUN"),
    /\bnpm ci\b.* --omit=dev --include=optional\b.*node_modules\/node-linux-\*\/bin\/node /,
  )
  assert.match(
    textOf(
      stages.find(({ name }) => name === "built"),
      "RUN",
    ),
    /\bnpm run build\b/,
  )
  assert.ok(existsSync(join(root, "src/cli.ts")), "cli.js is what the image starts")
})

test("the image runs as a user that is not root and keeps its data in a volume of that user's", () => {
  const [user] = allOf(image(), "USER")
  const [, uid = "", gid = ""] = /^(\d+):(\d+)$/.exec(user?.text ?? "") ?? []
  assert.ok(Number(uid) > 0 && Number(gid) > 0, `USER ${user?.text}`)
  const setUp = textOf(image(), "RUN")
  assert.match(setUp, new RegExp(`useradd --uid ${uid} --gid ${gid} `))
  const { WAYBILL_DATA_DIR: folder = "", PORT: port, HOST: host = "" } = imageVariables()
  assert.match(setUp, new RegExp(`install -d -o waybill -g waybill -m 0700 ${folder} `))
  assert.deepEqual(allOf(image(), "VOLUME").flatMap(execForm), [folder])
  assert.equal(textOf(image(), "EXPOSE"), port)
  assert.equal(host, "0.0.0.0")
})

test("signals to the container reach the program: Node is started by itself, as `npm start` starts it", () => {
  const [entry, ...entries] = allOf(image(), "ENTRYPOINT").map(execForm)
  const [command, ...commands] = allOf(image(), "CMD").map(execForm)
  assert.deepEqual([entries, commands], [[], []])
  assert.deepEqual(entry, ["node", ...nodeOptions, "/opt/waybill/cli.js"])
  assert.deepEqual(command, ["serve"])
})

test("the container's health check asks a route that is there, in a program that tells good from bad", async t => {
  const [check] = allOf(image(), "HEALTHCHECK")
  const [, exec = ""] = /CMD (\[.*\])$/.exec(check?.text ?? "") ?? []
  assert.deepEqual(JSON.parse(exec), ["node", "/opt/waybill/health.mjs", "/livez"])
  assertRoute("/livez")

  const port = await listen(t)
  assert.equal(await checkHealth(port, "/good"), 0)
  assert.equal(await checkHealth(port, "/bad"), 1)
  assert.equal(await checkHealth(1, "/good"), 1)
})
