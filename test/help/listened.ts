/** Waybill as a test hears it that looks for secrets: everything that it answers is looked through for those that were planted. */
import assert from "node:assert/strict"
import type { Canaries } from "./canaries.ts"
import type { Answer, Json } from "./program.ts"

/** Waybill, and everything that it has answered. */
export class Listened {
  readonly url: string
  readonly canaries: Canaries
  readonly hits: string[] = []
  readonly asked = new Set<string>()
  readonly #key: string
  #readsSettings = true
  readonly #ending = new AbortController()

  constructor(url: string, key: string, canaries: Canaries) {
    this.url = url
    this.#key = key
    this.canaries = canaries
  }

  /** From now on for callers who see events and no settings. */
  asReader(): void {
    this.#readsSettings = false
  }

  /** Follows everything that happens, until `end`. */
  async follow(): Promise<() => Promise<void>> {
    const signal = this.#ending.signal
    const stream = await fetch(`${this.url}/v1/stream`, { headers: { authorization: `Bearer ${this.#key}` }, signal })
    let text = ""
    const reading = (async () => {
      for await (const piece of stream.body ?? []) text += Buffer.from(piece).toString("utf8")
    })().catch(() => undefined)
    return async () => {
      this.#ending.abort()
      await reading
      assert.match(text, /order\.paid/)
      this.note("the stream", text, ["url-query"])
    }
  }

  /** Asks, and notes what the answer gives away. `shows` are the secrets that it is for. */
  async ask(
    method: string,
    path: string,
    {
      body,
      headers = {},
      shows = [],
    }: { body?: unknown; headers?: Record<string, string>; shows?: readonly string[] } = {},
  ): Promise<Answer> {
    const isText = typeof body === "string"
    const response = await fetch(this.url + path, {
      method,
      redirect: "manual",
      headers: {
        authorization: `Bearer ${this.#key}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: isText ? body : JSON.stringify(body) }),
    })
    return this.hear(`${method} ${path}`, response, shows)
  }

  /** The same, where a secret is made that the answer shows: `plant` says which. */
  async make(
    path: string,
    body: unknown,
    plant: (answer: Json) => readonly [name: string, secret: unknown],
  ): Promise<Json> {
    const answer = await this.ask("POST", path, { body })
    assert.ok(answer.status < 300, `${path}: ${answer.text}`)
    const [name, secret] = plant(answer.body)
    assert.equal(typeof secret, "string", `${path} shows ${name}`)
    this.canaries.plant(name, String(secret))
    return answer.body
  }

  async call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Json> {
    const answer = await this.ask(method, path, { body, ...(headers === undefined ? {} : { headers }) })
    assert.ok(answer.status < 300, `${method} ${path} was answered with ${answer.status}: ${answer.text}`)
    return answer.body
  }

  async hear(what: string, response: Response, shows: readonly string[] = []): Promise<Answer> {
    const text = await response.text()
    // A token in a URL is part of a setting, which those see who may see settings.
    const settings =
      this.#readsSettings && /^\w+ \/v1\/(integrations|deliveries|events|audit-log)/.test(what) ? ["url-query"] : []
    this.note(`${response.status} to ${what}`, `${text}\n${JSON.stringify([...response.headers])}`, [
      ...shows,
      ...settings,
    ])
    this.asked.add(what.split("?")[0] ?? what)
    const isJson = /[/+]json/.test(response.headers.get("content-type") ?? "")
    return {
      status: response.status,
      headers: response.headers,
      body: isJson && text !== "" ? (JSON.parse(text) as Json) : {},
      text,
    }
  }

  /** Looks through a text. */
  note(where: string, text: string, shows: readonly string[] = []): void {
    for (const name of this.canaries.foundIn(text, shows)) this.hits.push(`${name} in ${where}`)
  }
}
