/** A browser as far as people's sessions go: it keeps cookies, and its pages say where their requests come from. */
import type { Answer, Json } from "./program.ts"

/** A cookie as it was set. */
export interface SetCookie {
  readonly name: string
  readonly value: string
  /** In lower case, as `samesite=lax` or `httponly`. */
  readonly attributes: readonly string[]
}

export class Browser {
  readonly cookies = new Map<string, string>()
  /** What was set last, as it came. */
  lastSet: SetCookie | undefined
  csrf: string | undefined
  readonly #at: { readonly url: string }

  constructor(at: { readonly url: string }) {
    this.#at = at
  }

  /** Where Waybill is. */
  get url(): string {
    return this.#at.url
  }

  /** A request of a page of Waybill's own. Headers that are given replace what a page sends. */
  async ask(
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Answer> {
    const response = await fetch(path.startsWith("http") ? path : this.url + path, {
      method,
      redirect: "manual",
      headers: {
        "sec-fetch-site": "same-origin",
        ...(this.cookies.size === 0 ? {} : { cookie: [...this.cookies].map(pair => pair.join("=")).join("; ") }),
        ...(this.csrf === undefined || method === "GET" ? {} : { "x-csrf-token": this.csrf }),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    for (const line of response.headers.getSetCookie()) this.#keep(line)
    const text = await response.text()
    const isJson = /[/+]json/.test(response.headers.get("content-type") ?? "")
    const json = isJson && text !== "" ? (JSON.parse(text) as Json) : {}
    if (typeof json["csrf_token"] === "string") this.csrf = json["csrf_token"]
    return { status: response.status, headers: response.headers, body: json, text }
  }

  /** The same where only a 2xx is expected. */
  async call(method: string, path: string, body?: unknown): Promise<Json> {
    const answer = await this.ask(method, path, body)
    if (answer.status >= 300) throw new Error(`${method} ${path} was answered with ${answer.status}: ${answer.text}`)
    return answer.body
  }

  signIn(email: string, password: string): Promise<Answer> {
    return this.ask("POST", "/v1/session", { email, password })
  }

  #keep(line: string): void {
    const [pair = "", ...attributes] = line.split(";").map(part => part.trim())
    const [name = "", value = ""] = [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]
    this.lastSet = { name, value, attributes: attributes.map(attribute => attribute.toLowerCase()) }
    if (value === "") this.cookies.delete(name)
    else this.cookies.set(name, value)
  }
}
