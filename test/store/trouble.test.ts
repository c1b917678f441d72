/** What /readyz says of a database that cannot be written: what is wrong and how to mend it, and no names of its own. */
import assert from "node:assert/strict"
import test from "node:test"
import { StoreUnavailable } from "../../src/store/database.ts"
import { asUnavailable } from "../../src/store/postgres.ts"
import { troubleOf } from "../../src/store/trouble.ts"

/** An error as the driver or the server gives it. */
const said = (message: string, facts: object) => Object.assign(new Error(message), facts)

const cases: readonly (readonly [error: Error, sentence: RegExp])[] = [
  [
    said("connect ECONNREFUSED db.internal:5432", { code: "ECONNREFUSED" }),
    /nothing listens .* Start PostgreSQL there/,
  ],
  [said("getaddrinfo ENOTFOUND db.internal", { code: "ENOTFOUND" }), /the host in DATABASE_URL is not found/],
  [said("connect EHOSTUNREACH db.internal", { code: "EHOSTUNREACH" }), /does not answer\. See .* the way there/],
  [said("timeout exceeded when trying to connect", {}), /does not answer\. See .* the way there/],
  [said("Query read timeout", {}), /does not answer\. See .* the way there/],
  [said("Connection terminated unexpectedly", {}), /breaks connections off/],
  [said("terminating connection due to administrator command", { code: "57P01" }), /breaks connections off/],
  [said("the database system is starting up", { code: "57P03" }), /is starting or stopping/],
  [said("sorry, too many clients already", { code: "53300" }), /no connection left\. Raise max_connections/],
  [said('password authentication failed for user "db.internal"', { code: "28P01" }), /Mend the password/],
  [said('database "db.internal" does not exist', { code: "3D000" }), /is not there\. Make it/],
  [said("canceling statement due to lock timeout", { code: "55P03" }), /holds its tables locked\. See pg_locks/],
  [said("canceling statement due to statement timeout", { code: "57014" }), /took too long/],
  [
    said("cannot execute INSERT in a read-only transaction", { code: "25006" }),
    /Set default_transaction_read_only to off/,
  ],
  [said("could not extend file: No space left on device", { code: "53100" }), /its disk is full\. Make room/],
  [said("could not extend file: Disk quota exceeded", { code: "XX000", routine: "mdzeroextend" }), /its disk is full/],
  [
    said("could not read block 3", { code: "XX001", routine: "mdreadv" }),
    /does not answer as it should\. The log says more/,
  ],
]

test("every way in which PostgreSQL is away has a sentence that says what to do, without names", () => {
  for (const [error, sentence] of cases) {
    const text = troubleOf(asUnavailable(error))
    assert.match(text, sentence)
    assert.match(text, /^The database cannot be written: .*\. Waybill goes on by itself then\.$/)
    assert.doesNotMatch(text, /db\.internal/)
  }
})

test("what neither engine names is left to the log", () => {
  assert.match(troubleOf(new StoreUnavailable("full", undefined)), /its disk is full/)
  assert.match(troubleOf(new StoreUnavailable("read_only", new Error("readonly database"))), /the rights on its files/)
  assert.match(troubleOf(new StoreUnavailable("standby", undefined)), /is a standby.*Promote it/)
  assert.match(troubleOf(new StoreUnavailable("old_primary", undefined)), /is an old primary.*the one that took over/)
  assert.match(troubleOf(new Error("a bug")), /The log says more/)
})
