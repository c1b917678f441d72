/** Programs that tests need and no npm package brings: installed from Debian's packages where this process may. */
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"

/** Whether packages can be installed: this process is root's, on a machine with apt. */
export function mayInstall(): boolean {
  return process.getuid?.() === 0 && spawnSync("apt-get", ["--version"]).status === 0
}

/** Installs packages without what they only recommend; waits for others who install. Throws, with what apt says, where that fails. */
export async function install(...packages: readonly string[]): Promise<void> {
  await aptGet("update")
  await aptGet("install", "--yes", "--no-install-recommends", ...packages)
}

async function aptGet(...args: readonly string[]): Promise<void> {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" }
  const child = spawn("apt-get", ["-qq", "-o", "DPkg::Lock::Timeout=300", ...args], {
    env,
    stdio: ["ignore", "pipe", "pipe"],
  })
  let said = ""
  const hear = (chunk: string) => {
    said = (said + chunk).slice(-2_000)
  }
  child.stdout.setEncoding("utf8").on("data", hear)
  child.stderr.setEncoding("utf8").on("data", hear)
  await once(child, "close")
  if (child.exitCode !== 0) throw new Error(`apt-get ${args.join(" ")} failed:\n${said}`)
}
