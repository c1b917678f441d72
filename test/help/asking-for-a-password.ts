/** Asks for a new password in every way that there is, for the test of the API's document. */
import { DatabaseSync } from "node:sqlite"
import { Browser } from "./browser.ts"
import { bodyOf, MailServer } from "./mail-server.ts"
import { setUp } from "./people.ts"
import { Program } from "./program.ts"

const EMAIL = "ada@shop.example"
const WINDOW_MS = 16 * 60_000

/** The token of the newest link for a new password, as it came to an address by mail; the mails are taken away. */
export async function mailedToken(program: Program, server: MailServer, email: string): Promise<string> {
  const tokens = (): string[] =>
    server.mails
      .filter(mail => mail.to.includes(email))
      .flatMap(mail => /\/password-reset\?token=([\w-]+)/.exec(bodyOf(mail))?.[1] ?? [])
  await program.until("the mail has come", () => tokens().length > 0)
  const token = tokens().at(-1) ?? ""
  server.mails.length = 0
  return token
}

/** `seen` hears of each answer. The answers are held against the document. */
export async function askForNewPassword(seen: (id: string, status: number) => void): Promise<void> {
  await using server = await MailServer.open()
  await using program = await Program.open({ settings: { smtpUrl: `smtp://127.0.0.1:${server.port}` } })
  await setUp(program)
  const post = async (id: string, path: string, body: object, headers = {}) => {
    seen(id, (await new Browser(program).ask("POST", path, body, headers)).status)
  }
  const ask = (headers = {}) => post("askForPasswordReset", "/v1/password-resets", { email: EMAIL }, headers)
  const use = (token: string, headers = {}) =>
    post("resetPassword", "/v1/password-resets/use", { token, new_password: "another horse battery" }, headers)
  const elsewhere = { "sec-fetch-site": "cross-site" }
  await ask()
  const first = await mailedToken(program, server, EMAIL)
  await use(first)
  await use(first)
  await ask()
  const late = await mailedToken(program, server, EMAIL)
  program.turn(2 * WINDOW_MS)
  await use(late)
  await ask()
  const last = await mailedToken(program, server, EMAIL)
  for (const headers of [elsewhere, {}]) await ask(headers)
  await use(last, elsewhere)
  const rival = new DatabaseSync(`${program.dataDir}/waybill.db`)
  rival.exec("begin immediate")
  await Promise.all([ask(), use(last)])
  rival.exec("rollback")
  rival.close()
  await program.leave("update person set disabled_at = 1")
  await use(last)
  for (let i = 0; i < 4; i++) await ask()
  for (let i = 0; i < 51; i++) await use(`guess ${i}`)
}
