/** `waybill people`: who works in a project, an invitation, the first owner's link, and a way back in for who is locked out. */
import { randomBytes } from "node:crypto"
import { type Command, Option } from "commander"
import type { Config } from "../config.ts"
import { roleNames } from "../domain/scope.ts"
import { readSealingKeys } from "../domain/sealing-key.ts"
import type { Store } from "../store/store.ts"
import { clientOf, type ServerFlags, withServer } from "./client.ts"
import { CommandFault, unknownSubcommand } from "./fault.ts"
import { assertDatabase, onFolder } from "./folder.ts"
import { type List, type PageFlags, pageQuery, printList, withPage } from "./lists.ts"
import { configOf, type SettingFlags, withSettings } from "./settings.ts"
import { oneLine, type Terminal } from "./terminal.ts"

interface PersonView {
  readonly id: string
  readonly email: string
  readonly name: string
  readonly role: string
  readonly joined_at: string
  readonly last_seen_at: string | null
}

interface NewInvitationView {
  readonly email: string
  readonly role: string
  readonly url: string
  readonly mailed: boolean
  readonly expires_at: string
}

export function addPeople(program: Command, terminal: Terminal): void {
  const people = withServer(withPage(program.command("people").summary("list and invite people, let them in again")))
    .description("Lists the people of the project, and as what they work there.")
    .addHelpText("after", "\nExample:\n  $ waybill people")
    // A subcommand that was mistyped comes here, with what stands after it.
    .allowExcessArguments()
    .action((flags: ServerFlags & PageFlags, command: Command) => {
      const [word] = command.args
      if (word !== undefined) throw unknownSubcommand(command, word)
      return listPeople(flags, terminal)
    })

  withServer(people.command("invite").summary("invite somebody into the project"))
    .description("Makes an invitation. Its link is shown this once, and mailed where mail is set up.")
    .argument("<email>", "whom to invite")
    .addOption(new Option("--role <role>", "as what").choices(roleNames).default("viewer"))
    .addHelpText("after", "\nExample:\n  $ waybill people invite grace@shop.example --role developer")
    .action((email: string, _flags, command: Command) =>
      invite(email, command.optsWithGlobals<ServerFlags & { role: string }>(), terminal),
    )

  withServer(people.command("setup-link").summary("make a link for the first owner of the project"))
    .description("Makes a link with which the first owner of the project is made, while there is none.")
    .addHelpText("after", "\nExample:\n  $ waybill people setup-link")
    .action((_flags, command: Command) => makeSetupLink(command.optsWithGlobals(), terminal))

  withSettings(people.command("reset").summary("let a person in again, with a new password"), [
    "dataDir",
    "databaseUrl",
    "secretKey",
    "allowUnsafeDatabase",
  ])
    .description(
      "Gives a person a new password, which is shown this once, ends all their sessions and forgets as whom an identity provider knows them. Works on the database itself, for whoever runs Waybill; the embedded one has to be out of use meanwhile.",
    )
    .argument("<email>", "the person's address")
    .addHelpText("after", "\nExample:\n  $ waybill people reset ada@shop.example --data-dir /var/lib/waybill")
    .action((email: string, flags: SettingFlags) => reset(email, configOf(flags), terminal))

  for (const [name, is, summary] of [
    ["disable", true, "keep a person from signing in anywhere"],
    ["enable", false, "let a disabled person sign in again"],
  ] as const) {
    withSettings(people.command(name).summary(summary), ["dataDir", "databaseUrl", "secretKey", "allowUnsafeDatabase"])
      .description(
        `${is ? "Keeps a person from signing in to any project, and ends all their sessions" : "Lets a person sign in again"}. Works on the database itself, for whoever runs Waybill; the embedded one has to be out of use meanwhile.`,
      )
      .argument("<email>", "the person's address")
      .addHelpText("after", `\nExample:\n  $ waybill people ${name} ada@shop.example --data-dir /var/lib/waybill`)
      .action((email: string, flags: SettingFlags) => setDisabled(email, is, configOf(flags), terminal))
  }
}

function listPeople(flags: ServerFlags & PageFlags, terminal: Terminal): Promise<void> {
  const list: List<PersonView> = {
    name: "people",
    path: "/v1/people",
    query: pageQuery(flags),
    head: ["ID", "ADDRESS", "NAME", "ROLE", "JOINED", "LAST SEEN"],
    row: person => [
      person.id,
      oneLine(person.email, 60),
      oneLine(person.name, 40),
      person.role,
      terminal.time(person.joined_at),
      terminal.time(person.last_seen_at),
    ],
  }
  return printList(list, flags, terminal)
}

async function invite(
  email: string,
  flags: ServerFlags & { readonly role: string },
  terminal: Terminal,
): Promise<void> {
  const { text, value } = await clientOf(flags, terminal).post<NewInvitationView>("/v1/invitations", {
    email,
    role: flags.role,
  })
  if (flags.json) {
    terminal.print(text)
    return
  }
  const way = value.mailed ? "It is also on its way by mail." : "Hand it over yourself: mail is not set up."
  terminal.note(
    `Invited ${value.email} as ${value.role}, until ${terminal.time(value.expires_at)}. The link is shown this once. ${way}`,
  )
  terminal.print(value.url)
}

async function makeSetupLink(flags: ServerFlags, terminal: Terminal): Promise<void> {
  const { text, value } = await clientOf(flags, terminal).post<{ readonly url: string }>("/v1/setup-link")
  if (flags.json) {
    terminal.print(text)
    return
  }
  terminal.note("Whoever opens this link first becomes the owner. It is good until then:")
  terminal.print(value.url)
}

async function reset(email: string, config: Config, terminal: Terminal): Promise<void> {
  const password = randomBytes(18).toString("base64url")
  await onPeople(config, terminal, email, members => members.reset(email, password))
  terminal.note(`${email} signs in with this password from now on. It is shown this once; have it changed:`)
  terminal.print(password)
}

async function setDisabled(email: string, is: boolean, config: Config, terminal: Terminal): Promise<void> {
  await onPeople(config, terminal, email, members => members.setDisabled(email, is))
  terminal.print(is ? `${email} signs in no more; their sessions have ended.` : `${email} may sign in again.`)
}

/** Works on the people of a database, past a server; throws where nobody has the address. */
async function onPeople(
  config: Config,
  terminal: Terminal,
  email: string,
  work: (members: import("../engine/members.ts").Members) => Promise<boolean>,
): Promise<void> {
  const [{ Members }, { Passwords }, { Changes }, { Feed }] = await Promise.all([
    import("../engine/members.ts"),
    import("../engine/passwords.ts"),
    import("../engine/changes.ts"),
    import("../engine/feed.ts"),
  ])
  const store = await openStoreOf(config, terminal)
  try {
    // Nobody listens, and nothing of this is delivered.
    const changes = new Changes(store, new Feed(), () => {})
    const members = new Members({ store, changes, passwords: new Passwords() })
    if (!(await work(members))) throw new CommandFault(`Nobody here has the address ${email}.`)
  } finally {
    await store.close()
  }
}

function openStoreOf(config: Config, { now }: Terminal): Promise<Store> {
  const { dataDir, databaseUrl: url, secretKey, allowUnsafeDatabase: allowUnsafe } = config
  const sealingKeys = secretKey === null ? undefined : readSealingKeys(secretKey)
  if (url === null) {
    assertDatabase(dataDir)
    return onFolder(dataDir, ({ store }) => store.openStore({ dataDir, sealingKeys, now }))
  }
  return onFolder(dataDir, async () => {
    const { openPostgres } = await import("../store/postgres-store.ts")
    return openPostgres({ url, name: "waybill people", dataDir, sealingKeys, migrate: false, allowUnsafe })
  })
}
