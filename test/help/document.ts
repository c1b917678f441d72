/**
 * Holds answers against the OpenAPI document of the server that gave them: the status has to be listed for the operation,
 * the media type too, and the body has to meet its schema. `watchContract` does so for every `fetch` of a test.
 */
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js"
import formats from "ajv-formats"
import { writtenOut } from "../../scripts/reference/schema.ts"

/** One operation of the document. */
export interface Operation {
  readonly id: string
  readonly method: string
  readonly path: string
  readonly statuses: readonly number[]
  readonly takesBody: boolean
  readonly responses: Readonly<Record<string, ResponseObject>>
  /** As the document has it. */
  readonly raw: Readonly<Record<string, unknown>>
}

interface ResponseObject {
  readonly content?: Readonly<Record<string, { readonly schema?: object }>>
}

interface RawOperation {
  readonly operationId: string
  readonly requestBody?: object
  readonly responses: Readonly<Record<string, ResponseObject>>
}

const ajv = new Ajv2020({ strict: false, allErrors: false })
formats.default(ajv)
const validators = new WeakMap<object, ValidateFunction>()

/** The operations of a document such as `/openapi.json` gives it, with all that they point to written out. */
export function operationsOf(document: unknown): Operation[] {
  const { paths } = writtenOut(document) as { paths: Readonly<Record<string, Readonly<Record<string, RawOperation>>>> }
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, raw]) => ({
      id: raw.operationId,
      method: method.toUpperCase(),
      path,
      statuses: Object.keys(raw.responses).map(Number),
      takesBody: raw.requestBody !== undefined,
      responses: raw.responses,
      raw: { ...raw },
    })),
  )
}

/** The operation that a request belongs to, or undefined. */
export function operationFor(operations: readonly Operation[], method: string, path: string): Operation | undefined {
  const steps = path.split("/")
  return operations.find(operation => {
    const parts = operation.path.split("/")
    return (
      operation.method === method &&
      parts.length === steps.length &&
      parts.every((part, i) => part === steps[i] || (part.startsWith("{") && steps[i] !== ""))
    )
  })
}

/** What is wrong with an answer, as a sentence; null when it keeps the contract. */
export function breach(operation: Operation, status: number, contentType: string, text: string): string | null {
  const where = `${operation.method} ${operation.path} → ${status}`
  const response = operation.responses[String(status)]
  if (response === undefined) return `${where} is not in the document: ${text.slice(0, 300)}`
  if (text === "" && [204, 302, 304].includes(status)) return null
  const media = contentType.split(";")[0] ?? ""
  const content = response.content?.[media]
  if (content === undefined) return `${where} is ${media}, which the document does not list for it`
  if (content.schema === undefined || !/[/+]json$/.test(media)) return null
  let validate = validators.get(content.schema)
  if (validate === undefined) {
    validate = ajv.compile(content.schema)
    validators.set(content.schema, validate)
  }
  if (validate(JSON.parse(text))) return null
  const [error] = validate.errors ?? []
  return `${where} breaks its schema at ${error?.instancePath}: ${error?.message} in ${text.slice(0, 500)}`
}

const watched = new Set<string>()
const original = globalThis.fetch
/** What all servers of a test process answer by: it depends on the program alone, and takes a while to make and to compile. */
let contract: Promise<readonly Operation[]> | undefined

/** From now on each `fetch` to this server throws where the answer breaks the document of the program. */
export function watchContract(url: string): void {
  watched.add(new URL(url).origin)
  contract ??= askFor(`${url}/openapi.json`)
  globalThis.fetch = checkedFetch
}

async function askFor(url: string): Promise<readonly Operation[]> {
  try {
    return operationsOf(await (await original(url)).json())
  } catch {
    // A server that ends at once has no answers to be held against anything; the next one is asked.
    contract = undefined
    return []
  }
}

async function checkedFetch(input: string | URL | Request, init?: RequestInit): Promise<Response> {
  const response = await original(input, init)
  const url = new URL(input instanceof Request ? input.url : input)
  const operations = watched.has(url.origin) ? ((await contract) ?? []) : []
  const method = (init?.method ?? "GET").toUpperCase()
  const operation = operationFor(operations, method, url.pathname)
  const contentType = response.headers.get("content-type") ?? ""
  // A stream has no end to wait for; its messages have tests of their own.
  if (operation === undefined || contentType.startsWith("text/event-stream")) return response
  const fault = breach(operation, response.status, contentType, await response.clone().text())
  if (fault !== null) throw new Error(`The answer breaks the OpenAPI document: ${fault}`)
  return response
}
