/** The page of the API and its OpenAPI document, from the routes of a server that is started for it. */
import { mkdtempSync, rmSync } from "node:fs"
import { STATUS_CODES } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { TSchema } from "typebox"
import { AttemptView, FullAttemptView } from "../../src/api/attempt-view.ts"
import { DeliveryView, IntegrationName } from "../../src/api/delivery-view.ts"
import { EventSummaryView } from "../../src/api/event-view.ts"
import { AcceptedView, BatchView } from "../../src/api/ingest.ts"
import { EventBody } from "../../src/api/ingest-schemas.ts"
import { IntegrationView, PolicyOut, VerificationView } from "../../src/api/integration-schemas.ts"
import { problemsOfAll } from "../../src/api/openapi.ts"
import { problems } from "../../src/api/problem.ts"
import { ReasonView } from "../../src/api/reasons.ts"
import { ProblemSchema } from "../../src/api/schemas.ts"
import { readConfig } from "../../src/config.ts"
import { start } from "../../src/main.ts"
import { code, pageHead, table, text } from "./markdown.ts"
import { fieldTable, isWhole, kindOf, plainSchema, type Schema, type Shape, sentencesOf, writtenOut } from "./schema.ts"

/** The OpenAPI document, as far as it is read here. */
export interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
}

interface Operation {
  readonly operationId: string
  readonly summary: string
  readonly description?: string
  readonly tags: readonly string[]
  readonly security?: readonly unknown[]
  readonly parameters?: readonly Parameter[]
  readonly requestBody?: { readonly required?: boolean; readonly content: Content }
  readonly responses: Readonly<Record<string, Response>>
}

interface Response {
  readonly description: string
  readonly content?: Content
}

interface Parameter {
  readonly name: string
  readonly in: string
  readonly required?: boolean
  readonly description?: string
  readonly schema: Schema
}

type Content = Readonly<Record<string, { readonly schema?: Schema }>>

interface NamedShape extends Shape {
  readonly title: string
  readonly schema: Schema
}

const sentEvent = "Event as it is sent"

/** Shapes that many operations share, described once at the end of the page. A schema is told by its fields. */
const shapes = [
  shape(sentEvent, EventBody),
  shape("Accepted event", AcceptedView),
  shape("Accepted batch", BatchView),
  shape("Event", EventSummaryView),
  shape("Delivery", DeliveryView),
  shape("Reason", ReasonView),
  shape("Attempt", AttemptView),
  shape("Attempt with its exchange", FullAttemptView),
  shape("Integration", IntegrationView),
  shape("Name of an integration", IntegrationName),
  shape("Policy", PolicyOut),
  shape("Verification", VerificationView),
  shape("Problem", ProblemSchema),
]

/** The order in which people meet them. Tags that are not here come after. */
const tagOrder = [
  "events",
  "deliveries",
  "integrations",
  "diagnosis",
  "event types",
  "apps",
  "API keys",
  "projects",
  "operators",
  "problems",
]

/** Said once, not of each operation. */
const everywhere: readonly number[] = problemsOfAll.map(name => problems[name].status)

const intro = `JSON over HTTP. The same as a document for programs: [openapi.json](openapi.json), which a running server gives at
\`/openapi.json\`; both come from the schemas that validate the requests.

- Every request carries \`Authorization: Bearer wb_…\`, unless it says here that it needs no key. A key sees its own project.
- Bodies are JSON in UTF-8. Fields that are not known are refused. Times are RFC 3339; answers give them in UTC with
  milliseconds.
- Lists are \`{"data": […], "next_cursor": …}\`, newest first. Send \`next_cursor\` back as \`cursor\` for the next page; it is null
  on the last. A search that would take long ends in time: \`searched_back_to\` says how far it came, and the cursor goes on.
- \`PATCH\` takes a JSON merge patch (RFC 7396): what is left out stays, \`null\` takes away.
- Every error is a [problem document](problems.md). Any request may also be answered ${everywhere.join(" or ")}, and 503 while
  Waybill is stopping or its disk is full.`

/** The document that a server with nothing in it gives. */
export async function openapiDocument(): Promise<Document> {
  const dataDir = mkdtempSync(join(tmpdir(), "waybill-docs-"))
  const reading = readConfig({ dataDir, host: "127.0.0.1", port: "0", logLevel: "silent" }, {})
  if ("faults" in reading) throw new Error(reading.faults.join(" "))
  const waybill = await start(reading.config)
  try {
    const answer = await fetch(`${waybill.url}/openapi.json`)
    return (await answer.json()) as Document
  } finally {
    await waybill.stop()
    rmSync(dataDir, { recursive: true })
  }
}

/** The document as JSON text: a line for each parameter, body and answer, so that a change shows as what it is. */
export function openapiText(document: Document): string {
  return `${laidOut(document, 0)}\n`
}

/** The page as Markdown; the anchor of an operation is its `operationId`. */
export function apiPage(document: Document): string {
  const operations = Object.entries(writtenOut(document).paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  )
  const tags = [...new Set([...tagOrder, ...operations.flatMap(({ operation }) => operation.tags)])]
  const groups = tags
    .map(tag => ({ tag, found: inOrder(operations.filter(({ operation }) => operation.tags.includes(tag))) }))
    .filter(({ found }) => found.length > 0)
  const index = table(
    ["call", "does"],
    groups.flatMap(({ found }) =>
      found.map(({ method, path, operation }) => [
        `[${code(`${method} ${path}`)}](#${operation.operationId})`,
        text(operation.summary),
      ]),
    ),
  )
  return [
    pageHead("API", "the routes in src/api/", intro),
    index,
    ...groups.map(({ tag, found }) => `## ${capital(tag)}\n\n${found.map(section).join("\n")}`),
    `## Shapes\n\n${shapes.map(shapeSection).join("\n")}`,
  ].join("\n")
}

/** By path, and as the document has them where they share one. */
function inOrder<T extends { readonly path: string }>(operations: readonly T[]): T[] {
  return [...operations].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0))
}

function section({
  path,
  method,
  operation,
}: {
  readonly path: string
  readonly method: string
  readonly operation: Operation
}): string {
  const { operationId, summary, description, parameters = [], requestBody, responses, security } = operation
  const contentOf = (status: number) => responses[status]?.content
  const statuses = Object.keys(responses).map(Number)
  const problemStatuses = statuses.filter(status => status >= 400 && isProblem(contentOf(status)))
  const refusals = problemStatuses.filter(status => !everywhere.includes(status))
  const others = statuses.filter(status => !problemStatuses.includes(status))
  return [
    `### <a id="${operationId}"></a>${code(`${method} ${path}`)}\n\n${text(summary)}.${description === undefined ? "" : ` ${text(description)}`}\n`,
    ...(security?.length === 0 ? ["Needs no key.\n"] : []),
    ...(parameters.length === 0 ? [] : [parameterTable(parameters)]),
    ...(requestBody === undefined ? [] : [bodySection(requestBody)]),
    ...others.map(status => answerSection(status, contentOf(status))),
    `Problems: ${refusals.length === 0 ? "none" : refusals.map(status => `${status} ${STATUS_CODES[status]}`).join(", ")}.\n`,
  ].join("\n")
}

function parameterTable(parameters: readonly Parameter[]): string {
  const pathFirst = [...parameters].sort((a, b) => Number(b.in === "path") - Number(a.in === "path"))
  return table(
    ["parameter", "in", "kind", "what it is"],
    pathFirst.map(({ name, in: place, schema, description }) => [
      code(name),
      place,
      kindOf(schema),
      sentencesOf({ ...(description === undefined ? {} : { description }), ...schema }).join(" "),
    ]),
  )
}

function bodySection({ content, required }: NonNullable<Operation["requestBody"]>): string {
  const types = Object.keys(content).map(code).join(", ")
  const schema = Object.values(content)[0]?.schema
  const how = required === true ? "Body" : "Body, which may be left out"
  return `${how}: ${types}\n\n${schema === undefined ? "" : layout(schema, "input")}`
}

function answerSection(status: number, content: Content | undefined): string {
  const [[type, { schema }] = ["", {}]] = Object.entries(content ?? {})
  const title = `**${status} ${STATUS_CODES[status]}**`
  if (schema === undefined || schema.type === "null" || status === 204) return `${title}, without a body\n`
  if (!type.includes("json")) return `${title}: ${code(type)}\n`
  return `${title}\n\n${layout(schema, "output")}`
}

/** The shape that an object has, and its further fields. */
function layout(schema: Schema, direction: "input" | "output"): string {
  const branches = schema.anyOf?.map(branch => shapeOf(branch)?.link)
  if (branches?.every(link => link !== undefined)) return `${branches.join(" or ")}\n`
  const shape = shapeOf(schema)
  if (shape === undefined) return fieldTable(schema, direction, shapeOf)
  if (isWhole(schema, shape)) return `${shape.link}\n`
  return `${shape.link}, and:\n\n${fieldTable(schema, direction, shapeOf)}`
}

function shape(title: string, source: TSchema): NamedShape {
  const schema = plainSchema(source)
  const link = `[${title}](#${title.toLowerCase().replaceAll(" ", "-")})`
  return { title, schema, link, fields: Object.keys(schema.properties ?? {}) }
}

function shapeSection({ title, schema }: NamedShape): string {
  const direction = title === sentEvent ? "input" : "output"
  const others = shapes.filter(other => other.title !== title)
  const ofOthers = (found: Schema) => shapeOf(found, others)
  const base = ofOthers(schema)
  const begin = base === undefined ? "" : `${base.link}, and:\n\n`
  return `### ${title}\n\n${begin}${fieldTable(schema, direction, ofOthers)}`
}

/** The largest shape whose fields an object has: the names tell, as the document writes some keywords in its own way. */
function shapeOf({ properties = {} }: Schema, among: readonly NamedShape[] = shapes): Shape | undefined {
  const found = among.filter(({ fields }) => fields.every(name => Object.hasOwn(properties, name)))
  return found.sort((a, b) => b.fields.length - a.fields.length)[0]
}

function isProblem(content: Content | undefined): boolean {
  return content?.["application/problem+json"] !== undefined
}

function laidOut(value: unknown, depth: number): string {
  const isOpen = depth < 6 && typeof value === "object" && value !== null && Object.keys(value).length > 0
  if (!isOpen) return JSON.stringify(value)
  const indent = "  ".repeat(depth + 1)
  const [open, close] = Array.isArray(value) ? ["[", "]"] : ["{", "}"]
  const lines = Object.entries(value).map(([key, member]) => {
    return `${indent}${Array.isArray(value) ? "" : `${JSON.stringify(key)}: `}${laidOut(member, depth + 1)}`
  })
  return `${open}\n${lines.join(",\n")}\n${"  ".repeat(depth)}${close}`
}

function capital(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1)
}
