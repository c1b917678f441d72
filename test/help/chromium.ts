/** A real Chromium for the tests of the dashboard: an installed one, else Debian's, which is installed where that is allowed. */
import { existsSync } from "node:fs"
import { chromium } from "playwright-core"
import { install, mayInstall } from "./debian.ts"

/**
 * What browsers of Chromium's kind are called, on the path of a machine. First the one without a window of its own, which
 * needs the least (measured over a test of 120 pages: 39 s of a processor, 46 s with the whole browser).
 */
const names = [
  "chromium-headless-shell",
  "chromium",
  "chromium-browser",
  "google-chrome",
  "google-chrome-stable",
  "chrome",
]

/** Where they are on machines that do not put programs on a path. */
const places = [
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
  "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe",
]

/** What to do where there is none and none can be brought. */
export const noChromium =
  "There is no Chromium on this machine. Install it (`sudo apt-get install chromium`), or name one in TEST_CHROMIUM."

/** Debian's packages of one, of which the first that can be had is enough. Text has no width without a font. */
const packages = ["chromium-headless-shell", "chromium"].map(name => [name, "fonts-dejavu-core"] as const)

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
  const found = findChromium() ?? (mayInstall() ? await installChromium() : undefined)
  if (found === undefined) throw new Error(noChromium)
  return found
}

/** Throws, with what apt says, where none of the packages can be had. */
async function installChromium(): Promise<string | undefined> {
  const faults: unknown[] = []
  for (const wanted of packages) {
    try {
      await install(...wanted)
      return findChromium()
    } catch (error) {
      faults.push(error)
    }
  }
  throw faults.at(-1)
}
