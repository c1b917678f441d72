/** People of a project, made as they are in earnest: an owner by the set-up link, the others by invitations. */
import { Browser } from "./browser.ts"
import type { Program } from "./program.ts"

export const PASSWORD = "correct horse battery"

/** The token in a link. */
export function tokenIn(url: unknown): string {
  return new URL(String(url)).searchParams.get("token") ?? ""
}

/** Makes the owner of the project of the program's key; gives their browser. */
export async function setUp(program: Program, email = "ada@shop.example"): Promise<Browser> {
  const { url } = await program.call("POST", "/v1/setup-link")
  const browser = new Browser(program)
  await browser.call("POST", "/v1/setup", { token: tokenIn(url), email, name: "Ada", password: PASSWORD })
  return browser
}

/** Invites somebody as what the role says, and has them accept; gives their browser. */
export async function join(owner: Browser, program: Program, email: string, role: string): Promise<Browser> {
  const { url } = await owner.call("POST", "/v1/invitations", { email, role })
  const browser = new Browser(program)
  await browser.call("POST", "/v1/invitations/accept", { token: tokenIn(url), name: email, password: PASSWORD })
  return browser
}

/** Kinds of the newest changes of all projects, oldest first. */
export async function newestChanges(program: Program, count: number): Promise<string[]> {
  const rows = await program.rows<{ kind: string }>("select kind from change order by id desc limit ?", count)
  return rows.map(({ kind }) => kind).reverse()
}
