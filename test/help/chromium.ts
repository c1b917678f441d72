/** A real Chromium for the tests of the dashboard: an installed one, else Debian's, which is installed where that is allowed. */
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { existsSync } from "node:fs"
import { chromium } from "playwright-core"

/** What browsers of Chromium's kind are called, on the path of a machine. */
const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"]

/** Where they are on machines that do not put programs on a path. */
const places = [
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
  "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe",
]

/** The path of a Chromium on this machine: the one that TEST_CHROMIUM names, else one that is installed; undefined: none. */
export function findChromium(): string | undefined {
  const named = process.env["TEST_CHROMIUM"] ?? ""
  if (named !== "") return named
  const folders = (process.env["PATH"] ?? "").split(":")
  const onPath = names.flatMap(name => folders.map(folder => `${folder}/${name}`))
  // The last is the one that `npx playwright install chromium` puts into its own folder.
  return [...onPath, ...places, chromium.executablePath()].find(path => path !== "" && existsSync(path))
}

/** The path of a Chromium, installed from Debian's packages where there was none; throws, with what to do, where that cannot be. */
export async function bringChromium(): Promise<string> {
  const found = findChromium()
  if (found !== undefined) return found
  const mayInstall = process.getuid?.() === 0 && spawnSync("apt-get", ["--version"]).status === 0
  if (mayInstall) {
    await aptGet("update")
    await aptGet("install", "--yes", "--no-install-recommends", "chromium", "fonts-dejavu-core")
    const installed = findChromium()
    if (installed !== undefined) return installed
  }
  throw new Error(
    "The tests of the dashboard need Chromium: install it (`sudo apt-get install chromium`) or name one in TEST_CHROMIUM.",
  )
}

async function aptGet(...args: readonly string[]): Promise<void> {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" }
  const child = spawn("apt-get", ["-qq", ...args], { env, stdio: ["ignore", "pipe", "pipe"] })
  let said = ""
  const hear = (chunk: string) => {
    said = (said + chunk).slice(-2_000)
  }
  child.stdout.setEncoding("utf8").on("data", hear)
  child.stderr.setEncoding("utf8").on("data", hear)
  await once(child, "close")
  if (child.exitCode !== 0) throw new Error(`apt-get ${args.join(" ")} failed, so there is no Chromium:\n${said}`)
}
