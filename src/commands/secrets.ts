/** `waybill secrets`: which keys seal the secrets of a database, and a change of keys while Waybill works. */
import { setTimeout as wait } from "node:timers/promises"
import type { Command } from "commander"
import type { Config } from "../config.ts"
import { readSealingKeys } from "../domain/sealing-key.ts"
import { onDatabase } from "./database.ts"
import { CommandFault, misuse, unknownSubcommand } from "./fault.ts"
import { assertDatabase, databaseIn, type FolderTools, keyFileIn, onFolder } from "./folder.ts"
import { configOf, type SettingFlags, withSettings } from "./settings.ts"
import type { Terminal } from "./terminal.ts"

type Flags = SettingFlags & { readonly json?: true; readonly check?: true }

/** What is sealed in a database, and with which keys. */
interface Sealed {
  /** Ids of the keys that a start needs, newest first. */
  readonly inUse: readonly string[]
  /** How many values each key has sealed, by its id. */
  readonly counts: ReadonlyMap<string, number>
}

/** What a rotation came to. */
interface Rotated {
  readonly key: string
  readonly resealed: number
  /** Whether the key was made by this call. */
  readonly made: boolean
}

const settingNames = ["dataDir", "databaseUrl", "secretKey", "allowUnsafeDatabase"] as const
const POLL_MS = 300
/** A running Waybill looks at its key file every second. */
const TAKEN_WITHIN_MS = 15_000

export function addSecrets(program: Command, terminal: Terminal): void {
  const secrets = program
    .command("secrets")
    .summary("change the key that seals secrets, and see what it seals")
    .description("Works on the keys that seal the secrets in the database: see docs/secrets.md.")
    .addHelpText("after", "\nExample:\n  $ waybill secrets status")
    .action((_flags, command: Command) => {
      const [word] = command.args
      if (word !== undefined) throw unknownSubcommand(command, word)
      command.help()
    })
    .allowExcessArguments()

  withSettings(secrets.command("status").summary("how many values each key has sealed"), settingNames)
    .description(
      "Shows the keys by their ids, newest first, with how many values each has sealed. A start needs all keys that are in use. May be asked while Waybill runs.",
    )
    .option("--check", "exit with 1 while an older key than the newest is still needed")
    .option("--json", "print JSON for programs")
    .addHelpText("after", "\nExample:\n  $ waybill secrets status --check")
    .action((flags: Flags) => status(flags, terminal))

  withSettings(secrets.command("rotate").summary("seal everything with a new key, while Waybill runs"), settingNames)
    .description(
      "Seals every secret anew with the newest key, in small pieces, also while Waybill runs. Over the embedded database it first makes a new key in the key file, which a running Waybill takes in by itself; keys of WAYBILL_SECRET_KEY, and those of PostgreSQL, are given by you: the new one first. The older key stays where it is until you take it away: backups of before need it. Interrupted, it goes on where it was when it is called again.",
    )
    .option("--json", "print JSON for programs")
    .addHelpText("after", "\nExample:\n  $ waybill secrets rotate --data-dir /var/lib/waybill")
    .action((flags: Flags) => rotate(flags, terminal))
}

async function status(flags: Flags, terminal: Terminal): Promise<void> {
  const config = configOf(flags)
  const { inUse, counts } =
    config.databaseUrl === null
      ? await onFolder(folderOf(config), tools => lookAtFolder(config.dataDir, tools))
      : await lookAtDatabase(config.databaseUrl)
  const [newest] = inUse
  const old = inUse.slice(1).reduce((sum, id) => sum + (counts.get(id) ?? 0), 0)
  const keys = [...new Set([...inUse, ...counts.keys()])].map(id => ({
    id,
    values: counts.get(id) ?? 0,
    state: id === newest ? "newest" : inUse.includes(id) ? "older" : "gone",
  }))
  if (flags.json) terminal.printJson({ old, keys })
  else {
    const says = { newest: "seals", older: "opens, until all is sealed anew", gone: "opens nothing: changed on disk" }
    terminal.printTable(
      ["KEY", "VALUES", ""],
      keys.map(({ id, values, state }) => [id, String(values), says[state as keyof typeof says]]),
      "Nothing is sealed yet.",
    )
    terminal.print(`${old} values are sealed with an old key.`)
  }
  if (flags.check && inUse.length > 1) process.exitCode = 1
}

async function rotate(flags: Flags, terminal: Terminal): Promise<void> {
  const config = configOf(flags)
  const rotated =
    config.databaseUrl === null
      ? await onFolder(folderOf(config), tools => rotateFolder(config, tools, terminal))
      : await rotateDatabase(config, config.databaseUrl)
  if (flags.json) {
    terminal.printJson(rotated)
    return
  }
  const { key, resealed, made } = rotated
  terminal.print(
    `Everything is sealed with the key ${key} now${resealed === 0 ? "" : `; ${resealed} values were sealed anew`}.`,
  )
  const where = config.secretKey === null ? keyFileIn(config.dataDir) : "WAYBILL_SECRET_KEY"
  if (made) terminal.print(`It is the first line of ${where}: keep a copy of that file in another place.`)
  terminal.print(`Older keys in ${where} open nothing here any more: take them out once no backup needs them.`)
}

/** The folder, where there is a database in it. */
function folderOf({ dataDir }: Config): string {
  assertDatabase(dataDir)
  return dataDir
}

async function lookAtFolder(dataDir: string, { look }: FolderTools): Promise<Sealed> {
  const [{ SqliteDatabase }, { readKeysInUse }, { countByKey }] = await Promise.all([
    import("../store/sqlite.ts"),
    import("../store/keys-in-use.ts"),
    import("../store/reseal.ts"),
  ])
  const db = new SqliteDatabase(look.openUntouched(databaseIn(dataDir)))
  try {
    return { inUse: await readKeysInUse(db), counts: await countByKey(db) }
  } finally {
    await db.close()
  }
}

async function lookAtDatabase(url: string): Promise<Sealed> {
  const [{ readKeysInUse }, { countByKey }] = await Promise.all([
    import("../store/keys-in-use.ts"),
    import("../store/reseal.ts"),
  ])
  return onDatabase(({ session, migrate }) =>
    session.withSession(url, async open => {
      await migrate.assertMigrated(open)
      return { inUse: await readKeysInUse(open.db), counts: await countByKey(open.db) }
    }),
  )
}

async function rotateFolder(config: Config, tools: FolderTools, terminal: Terminal): Promise<Rotated> {
  const { dataDir } = config
  const before = await lookAtFolder(dataDir, tools)
  const { key, made } = newestKey(config, before, tools)
  const old = [...before.counts].reduce((sum, [id, count]) => (id === key ? sum : sum + count), 0)
  const deadline = performance.now() + TAKEN_WITHIN_MS
  while (tools.upkeep.isOwned(dataDir)) {
    const { inUse } = await lookAtFolder(dataDir, tools)
    if (inUse[0] === key && inUse.length === 1) return { key, resealed: old, made }
    if (inUse[0] !== key && performance.now() > deadline) throw notTaken(config)
    await wait(POLL_MS)
  }
  return { key, made, resealed: await resealFolder(config, tools, terminal) }
}

/** The key that all is to be sealed with: the first that is there, or a new one where that seals everything already. */
function newestKey(
  config: Config,
  { inUse }: Sealed,
  { secretKey: tools }: FolderTools,
): { key: string; made: boolean } {
  const { dataDir } = config
  const sealingKeys = sealingKeysOf(config)
  const keys = tools.ringFor({ dataDir, sealingKeys }, inUse, databaseIn(dataDir))
  const [first = ""] = keys.map(tools.sealingKeyId)
  if (first !== inUse[0] || inUse.length > 1) return { key: first, made: false }
  if (sealingKeys !== undefined) throw noNewKey("start Waybill anew with both")
  const made = tools.newSealingKey()
  tools.writeKeyFile(keyFileIn(dataDir), [made, ...keys])
  return { key: tools.sealingKeyId(made), made: true }
}

function notTaken({ secretKey, dataDir }: Config): CommandFault {
  return new CommandFault(
    secretKey === null
      ? `The Waybill that runs on ${dataDir} has not taken in the new key, which stands first in ${keyFileIn(dataDir)}. Its log says why; one that has WAYBILL_SECRET_KEY set does not look at the file.`
      : `The Waybill that runs on ${dataDir} seals with another key. Start it anew with this WAYBILL_SECRET_KEY; it seals everything anew by itself.`,
  )
}

/** There is no key in the ring that is not in use already. */
function noNewKey(then: string): CommandFault {
  return misuse([
    "Everything is sealed with the first key of WAYBILL_SECRET_KEY already. To change it:",
    `make a new key with \`openssl rand -base64 32\`, set WAYBILL_SECRET_KEY=<new>,<old>, and ${then}; see docs/secrets.md.`,
  ])
}

/** Nobody else works on the folder: it is opened, and sealed anew, here. */
async function resealFolder(config: Config, { store }: FolderTools, { now }: Terminal): Promise<number> {
  const { dataDir } = config
  const [{ resealAll }, { noteKeysInUse }] = await Promise.all([
    import("../store/reseal.ts"),
    import("../store/keys-in-use.ts"),
  ])
  const opened = store.openStore({ dataDir, sealingKeys: sealingKeysOf(config), now })
  try {
    const { reads, seal, ledger } = opened
    let resealed = 0
    for await (const page of resealAll({ reads, seal, inTransaction: work => ledger.inNextCommit(() => work()) })) {
      resealed += page.resealed
    }
    await ledger.inNextCommit(() => noteKeysInUse([seal.newest]))
    return resealed
  } finally {
    await opened.close()
  }
}

async function rotateDatabase(config: Config, url: string): Promise<Rotated> {
  const [{ readKeysInUse }, { resealAll }, { enterNewest, retireOlder, sealingWithOthers }, { Ring }] =
    await Promise.all([
      import("../store/keys-in-use.ts"),
      import("../store/reseal.ts"),
      import("../store/postgres-keys.ts"),
      import("../store/seal.ts"),
    ])
  return onFolder(config.dataDir, ({ secretKey: tools }) =>
    onDatabase(({ session, migrate }) =>
      session.withSession(url, async open => {
        await migrate.assertMigrated(open)
        const inUse = await readKeysInUse(open.db)
        if (inUse.length === 0) throw new CommandFault(`Nothing is sealed yet in ${open.place}.`)
        const { dataDir } = config
        const keys = tools.ringFor({ dataDir, sealingKeys: sealingKeysOf(config) }, inUse, open.place)
        const seal = new Ring(keys)
        if (inUse[0] === seal.newest && inUse.length === 1) throw noNewKey("give it to every process in that order")
        await enterNewest(open, seal.newest)
        let resealed = 0
        for (let found = -1; found !== 0; ) {
          const others = await sealingWithOthers(open.db, seal.newest)
          found = 0
          const parts = { reads: open.db, seal, inTransaction: inTransactionOf(open) }
          for await (const page of resealAll(parts)) found += page.resealed
          resealed += found
          if (others.length > 0) throw stillOld(seal.newest, others)
        }
        // The last walk found nothing, and nobody sealed with an older key any more when it began.
        await retireOlder(open, seal.newest)
        return { key: seal.newest, resealed, made: false }
      }),
    ),
  )
}

type OpenSession = Parameters<Parameters<typeof import("../store/postgres-session.ts").withSession>[1]>[0]

function inTransactionOf(open: OpenSession): import("../store/reseal.ts").ResealParts["inTransaction"] {
  return work => open.transaction(tx => tx.run(work()))
}

function stillOld(newest: string, others: readonly string[]): CommandFault {
  return new CommandFault(
    `What is there is sealed with the key ${newest} now, but ${others.join(", ")} still ${others.length === 1 ? "seals" : "seal"} with another. Make it the first key of every process, and run this again, or let the processes finish it by themselves.`,
  )
}

function sealingKeysOf({ secretKey }: Config): readonly Uint8Array[] | undefined {
  return secretKey === null ? undefined : readSealingKeys(secretKey)
}
