/** Why a PostgreSQL database cannot be reached, in sentences for the operator. None of them holds the password. */
import { codeOf } from "./postgres.ts"
import { StoreFault } from "./store-fault.ts"

/** Whom a connection was meant for, as the driver has read it from the URL and its environment. */
export interface Target {
  readonly host: string
  readonly port: number
  readonly database?: string | undefined
  readonly user?: string | undefined
}

/** The fault that an error at the beginning of a connection is. */
export function connectionFault(error: unknown, { host, port, database, user }: Target): StoreFault {
  const code = codeOf(error) ?? ""
  const place = `${host}:${port}`
  const said = error instanceof Error && error.message !== "" ? error.message : code
  return new StoreFault(sentence(), { cause: error })

  function sentence(): string {
    switch (code) {
      case "ECONNREFUSED":
        return `Nothing listens at ${place}: see that PostgreSQL runs there, and that DATABASE_URL names its host and port.`
      case "ENOENT":
        return `There is no socket of PostgreSQL in ${host}: see that it runs there, and that DATABASE_URL names its host.`
      case "ENOTFOUND":
      case "EAI_AGAIN":
        return `The host ${host} is not found (${code}): see that DATABASE_URL names the right one, and the name server.`
      case "ETIMEDOUT":
      case "EHOSTUNREACH":
      case "ENETUNREACH":
      case "ECONNRESET":
      case "EPIPE":
        return `${place} cannot be reached (${code}): see the way there, firewalls among it, and DATABASE_URL.`
      case "28P01":
        return `PostgreSQL at ${place} does not take the password of ${user}: mend it in DATABASE_URL, or with \`alter role ${user} password …\`.`
      case "28000":
        return `PostgreSQL at ${place} does not let ${user} in (${said}): see the role and pg_hba.conf.`
      case "3D000":
        return `There is no database ${database} at ${place}: make it with \`create database ${database} owner ${user}\`, or name another in DATABASE_URL.`
      case "42501":
        return `The role ${user} may not connect to the database ${database} at ${place}: \`grant connect on database ${database} to ${user}\`.`
      case "53300":
        return `PostgreSQL at ${place} has no connection left (${said}): raise max_connections, end what holds them, or put PgBouncer before it.`
      case "57P03":
        return `PostgreSQL at ${place} does not let anybody in yet (${said}): start again in a moment.`
    }
    if (/timeout|timed out/i.test(said)) {
      return `${place} does not answer: see the way there, firewalls among it, and that DATABASE_URL names the right host.`
    }
    if (/password must be a (non-empty )?string/.test(said)) {
      return `PostgreSQL at ${place} asks for the password of ${user}, and DATABASE_URL has none: postgres://${user}:<password>@${place}/${database}.`
    }
    if (/does not support SSL/.test(said)) {
      return `PostgreSQL at ${place} does not speak TLS, and DATABASE_URL asks for it: switch it on there, or take sslmode out of the URL.`
    }
    if (/CERT|SELF_SIGNED|ISSUER|VERIFY|ERR_TLS/.test(code)) {
      return `The certificate of PostgreSQL at ${place} is not trusted (${said}): name its authority with \`sslrootcert=<file>\` in DATABASE_URL.`
    }
    if (/terminated|ended/.test(said)) {
      return `${place} hung up before it said a word: does PostgreSQL listen there, and not something else?`
    }
    return `PostgreSQL at ${place} cannot be used as ${user} on the database ${database} (${said}).`
  }
}
