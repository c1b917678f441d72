/**
 * A disk that a test may fill: a tmpfs of some MiB in a mount namespace of its own, which is gone with the process that
 * runs on it, however that ends.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { text } from "node:stream/consumers"
import type { TestContext } from "node:test"

const NO_MOUNT = 77

/**
 * Runs a file of this folder in a process of its own, with a disk of so many MiB as its first argument, and gives what it
 * printed as JSON.
 */
export async function onSmallDisk(
  t: TestContext,
  mebibytes: number,
  file: string,
  ...rest: string[]
): Promise<unknown> {
  const folder = mkdtempSync(join(tmpdir(), "waybill-disk-"))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const mount = `mount -t tmpfs -o size=${mebibytes}m none "$0" || exit ${NO_MOUNT}; exec "$@"`
  // Without root a user namespace gives the right to mount, where the system allows those.
  const asRoot = process.getuid?.() === 0 ? [] : ["--map-root-user"]
  const program = [process.execPath, join(import.meta.dirname, file), folder, ...rest]
  const child = spawn("unshare", [...asRoot, "--mount", "sh", "-c", mount, folder, ...program], {
    stdio: ["ignore", "pipe", "pipe"],
    signal: t.signal,
  })
  const ended = once(child, "close").then(
    ([code]) => Number(code),
    (error: unknown) => String(error),
  )
  const [out, complaint, code] = await Promise.all([text(child.stdout), text(child.stderr), ended])
  if (code === 0) return JSON.parse(out)
  const hadNoDisk = typeof code === "string" || code === NO_MOUNT || complaint.startsWith("unshare:")
  if (!hadNoDisk) throw new Error(`${file} failed:\n${complaint}`)
  throw new Error(
    `This test fills a small disk that it makes with \`unshare --mount\` and a tmpfs, which is not possible here ` +
      `(${code}: ${complaint.trim()}). It needs Linux, and root or user namespaces.`,
  )
}
