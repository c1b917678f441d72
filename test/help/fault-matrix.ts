/** The rows of docs/fault-matrix.md, as its tests and the run of those of class A read them. */
import { readFileSync } from "node:fs"
import { join } from "node:path"

export interface MatrixRow {
  /** `F-01` */
  readonly id: string
  /** A, N, R, or – for what is open. */
  readonly classes: readonly string[]
  /** Its last column: files, and what else there is to say. */
  readonly shown: string
  /** The files that it names. */
  readonly files: readonly string[]
}

/** The document itself. */
export const matrixText = readFileSync(join(import.meta.dirname, "../../docs/fault-matrix.md"), "utf8")

export const matrixRows: readonly MatrixRow[] = [
  ...matrixText.matchAll(/^\| (F-\d\d) \| [^|]+ \| ([^|]+) \| ([^|]+) \|$/gm),
].map(([, id = "", classes = "", shown = ""]) => ({
  id,
  classes: classes.split(", "),
  shown,
  files: [...shown.matchAll(/test\/[\w./-]+\.ts/g)].map(([file]) => file),
}))

/** The test files that rows of class A name, each once. */
export function filesOfClassA(): string[] {
  const files = matrixRows.filter(({ classes }) => classes.includes("A")).flatMap(row => row.files)
  return [...new Set(files)].filter(file => file.endsWith(".test.ts")).sort()
}
