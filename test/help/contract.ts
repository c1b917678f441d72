/** Calls the API and holds every answer against the OpenAPI document that the server itself gives out. */
import assert from "node:assert/strict"
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js"
import formats from "ajv-formats"
import type { Reachable } from "./waybill.ts"

interface Operation {
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema?: object }>> }>
  >
}

export interface Answer<Body> {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  readonly body: Body
}

/** A client of one server. Its answers are those that the document describes, or the test fails. */
export class Contract {
  readonly #at: Reachable
  readonly #paths: readonly {
    readonly pattern: RegExp
    readonly path: string
    readonly operations: Record<string, Operation>
  }[]
  readonly #validators = new Map<object, ValidateFunction>()
  readonly #ajv = new Ajv2020({ strict: false, allErrors: false })

  /** Reads the document of a server. */
  static async with(at: Reachable): Promise<Contract> {
    const response = await fetch(`${at.url}/openapi.json`)
    return new Contract(at, (await response.json()) as { paths: Record<string, Record<string, Operation>> })
  }

  private constructor(at: Reachable, document: { readonly paths: Record<string, Record<string, Operation>> }) {
    this.#at = at
    formats.default(this.#ajv)
    this.#paths = Object.entries(document.paths)
      // An address without a parameter before one with: /v1/events/batch is no event.
      .sort(([a], [b]) => Number(a.includes("{")) - Number(b.includes("{")))
      .map(([path, operations]) => ({
        path,
        operations,
        pattern: new RegExp(`^${path.replaceAll(/\{[^}]+\}/g, "[^/]+")}$`),
      }))
  }

  /** Sends a request; `body` goes out as JSON, or as it is where it is text. */
  async send<Body = Record<string, unknown>>(
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Answer<Body>> {
    const response = await fetch(this.#at.url + path, {
      method,
      headers: {
        authorization: `Bearer ${this.#at.key}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    })
    const text = await response.text()
    const { status } = response
    const parsed: unknown = text === "" ? undefined : JSON.parse(text)
    this.#check(`${method} ${path}`, method, path, status, response.headers.get("content-type") ?? "", parsed)
    return { status, headers: response.headers, text, body: parsed as Body }
  }

  /** Sends a request that has to go well. */
  async get<Body = Record<string, unknown>>(path: string): Promise<Body> {
    const { status, body, text } = await this.send<Body>("GET", path)
    assert.equal(status, 200, text)
    return body
  }

  #check(call: string, method: string, path: string, status: number, type: string, body: unknown): void {
    const [bare = ""] = path.split("?")
    const found = this.#paths.find(({ pattern }) => pattern.test(bare))
    const response = found?.operations[method.toLowerCase()]?.responses[String(status)]
    assert.ok(response, `${call} answered ${status}, which the document does not list: ${JSON.stringify(body)}`)
    const [mediaType = ""] = type.split(";")
    const schema = response.content?.[mediaType]?.schema
    if (schema === undefined) {
      assert.equal(body, undefined, `${call} answered ${status} with ${mediaType}, which the document does not list`)
      return
    }
    let validate = this.#validators.get(schema)
    if (validate === undefined) {
      validate = this.#ajv.compile(schema)
      this.#validators.set(schema, validate)
    }
    assert.ok(
      validate(body),
      `${call} answered ${status} with what breaks its schema: ${JSON.stringify(validate.errors)}`,
    )
  }
}
