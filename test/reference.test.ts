/** The documents say what the program does: references come from its tables, links lead somewhere, names exist. */
import assert from "node:assert/strict"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { dirname, join, normalize, relative, sep } from "node:path"
import test from "node:test"
import { referenceFiles } from "../scripts/docs.ts"
import { problems } from "../src/api/problem.ts"
import { settings } from "../src/config.ts"
import { connectors } from "../src/connectors/index.ts"
import { describeReason, reasonCodes } from "../src/domain/reason.ts"
import { Metrics } from "../src/engine/metrics.ts"

const root = join(import.meta.dirname, "..")

/** Names that begin like a setting or a metric but are the client's, or Prometheus's ways of writing one. */
const clientVariables = ["WAYBILL_URL"]
const metricEndings = /_(bucket|sum|count)$/

test("what is committed in docs/reference is what the tables give: else run `npm run docs`", async () => {
  const files = await referenceFiles()
  const folder = "docs/reference"
  assert.deepEqual(
    readdirSync(join(root, folder)).map(name => `${folder}/${name}`),
    [...files.keys()].sort(),
  )
  for (const [path, text] of files) assert.equal(read(path), text, `${path} is not what \`npm run docs\` gives`)
})

test("every reason has its section, and every section is that of a reason", () => {
  assert.deepEqual(codesIn("docs/reference/reasons.md", /^## `(\w+)`$/gm), [...reasonCodes])
})

test("every link from a reason to the documents leads to an anchor that is there", () => {
  for (const code of reasonCodes) {
    const { links } = describeReason({ code, facts: {} }, { status: "failed", nextAt: null })
    for (const { href } of links) assert.equal(faultOfLink("README.md", href), null)
  }
})

test("every setting, connector and problem has its row, and every row is that of one", () => {
  const variables = Object.values(settings).map(({ variable }) => variable)
  assert.deepEqual(codesIn("docs/reference/settings.md", /^\| `([A-Z_]+)`/gm), variables)
  assert.deepEqual(
    codesIn("docs/reference/connectors.md", /`"connector": "(\w+)"`/g),
    connectors.map(({ name }) => name),
  )
  assert.deepEqual(codesIn("docs/reference/problems.md", /^\| \d{3} \| `(\w+)`/gm).sort(), Object.keys(problems).sort())
})

test("every address that needs no credential and no document of the API names is listed with those that do", () => {
  const page = read("docs/reference/access.md")
  const list = page.slice(page.indexOf("## Without a credential"), page.indexOf("## Calls"))
  const hidden = sources().filter(path => /schema: \{ hide: true \}/.test(read(path)))
  const addresses = mentions(hidden, /(?<=\b(?:get|post|all|url: )\(?")\/[\w./-]+/g)
  assert.ok(addresses.length >= hidden.length)
  assert.deepEqual(
    addresses.filter(address => !list.includes(address)),
    [],
  )
})

test("every problem that the page explains is given somewhere", () => {
  const elsewhere = sources()
    .filter(path => path !== "src/api/problem.ts")
    .map(read)
    .join("\n")
  assert.deepEqual(
    Object.keys(problems).filter(code => !elsewhere.includes(`"${code}"`)),
    [],
  )
})

test("every link within the documents leads somewhere", () => {
  const faults = documents().flatMap(path =>
    linksIn(read(path)).flatMap(link => {
      const fault = faultOfLink(path, link)
      return fault === null ? [] : [`${path}: ${fault}`]
    }),
  )
  assert.equal(faults.join("\n"), "")
})

test("every document that the sources name is there", () => {
  const named = sources().flatMap(path =>
    [...read(path).matchAll(/\bdocs\/[\w/-]+\.\w+/g)].map(([file]) => ({ path, file })),
  )
  assert.ok(named.length > 0)
  assert.deepEqual(
    named.filter(({ file }) => !existsSync(join(root, file))),
    [],
  )
})

test("every metric is explained, and every metric in the documents exists", async () => {
  const names = (await new Metrics("0", "0").registry.getMetricsAsJSON())
    .map(({ name }) => name)
    .filter(name => name.startsWith("waybill_"))
  assert.deepEqual([...names].sort(), [...new Set(mentions(["docs/operate.md"], /\bwaybill_[a-z_]+[a-z]/g))].sort())
})

test("every variable in the documents is a setting", () => {
  const known = [...Object.values(settings).map(({ variable }) => variable as string), ...clientVariables]
  const found = mentions(documents(), /\bWAYBILL_[A-Z_]*[A-Z]\b/g)
  assert.deepEqual(
    found.filter(name => !known.includes(name)),
    [],
  )
})

function read(path: string): string {
  return readFileSync(join(root, path), "utf8")
}

function codesIn(path: string, pattern: RegExp): string[] {
  return [...read(path).matchAll(pattern)].map(([, code = ""]) => code)
}

/** Everything that matches in these documents; metrics without the endings that Prometheus adds. */
function mentions(paths: readonly string[], pattern: RegExp): string[] {
  return paths.flatMap(path => [...read(path).matchAll(pattern)].map(([name]) => name.replace(metricEndings, "")))
}

function documents(): string[] {
  const top = readdirSync(root).filter(name => name.endsWith(".md"))
  return [...top, ...filesIn("docs").filter(path => path.endsWith(".md"))]
}

function sources(): string[] {
  return filesIn("src").filter(path => path.endsWith(".ts"))
}

function filesIn(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => relative(root, join(entry.parentPath, entry.name)).replaceAll(sep, "/"))
}

/** Targets of links, but for those out into the world. */
function linksIn(markdown: string): string[] {
  const prose = markdown.replace(/^```[\s\S]*?^```/gm, "").replace(/`[^`\n]*`/g, "code")
  return [...prose.matchAll(/\]\(([^()\s]+)\)/g)]
    .map(([, target = ""]) => target)
    .filter(target => !/^(https?|mailto):/.test(target))
}

/** What is wrong with a link on a page; null when it leads somewhere. */
function faultOfLink(page: string, link: string): string | null {
  const [file = "", anchor] = link.split("#")
  const target = file === "" ? page : normalize(join(dirname(page), file))
  if (!existsSync(join(root, target))) return `${link} leads to no file`
  return anchor === undefined || anchorsIn(read(target)).includes(anchor) ? null : `${link} leads to no heading`
}

/** The anchors of a page, as GitHub makes them. */
function anchorsIn(markdown: string): string[] {
  const prose = markdown.replace(/^```[\s\S]*?^```/gm, "")
  const named = [...prose.matchAll(/<a id="([^"]+)">/g)].map(([, id = ""]) => id)
  const headings = [...prose.matchAll(/^#{1,6} (.+)$/gm)].map(([, heading = ""]) => slugOf(heading))
  return [...named, ...headings]
}

function slugOf(heading: string): string {
  const plain = heading.replace(/<[^>]*>/g, "").replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
  return plain
    .toLowerCase()
    .replace(/[^\p{L}\p{N}_\- ]/gu, "")
    .trim()
    .replaceAll(" ", "-")
}
