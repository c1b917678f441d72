/**
 * What many tests begin with, made once for a whole run and copied by each of them: files and folders under the one that
 * TEST_TEMPLATES names. Made anew for each run, so that nothing of it can be out of date. Where a test file runs by
 * itself there are none, and each test makes its own.
 */
import { existsSync, renameSync, rmSync } from "node:fs"
import { join } from "node:path"

/** The path of a template, which the first who asks for it makes at the path that it is given; undefined where there are none. */
export async function template(name: string, make: (path: string) => Promise<void>): Promise<string | undefined> {
  const folder = process.env["TEST_TEMPLATES"]
  if (folder === undefined) return undefined
  const path = join(folder, name)
  if (existsSync(path)) return path
  const own = `${path}-${process.pid}`
  await make(own)
  try {
    renameSync(own, path)
  } catch (error) {
    // Another process was quicker.
    if (!existsSync(path)) throw error
    rmSync(own, { recursive: true, force: true })
  }
  return path
}
