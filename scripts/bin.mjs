#!/usr/bin/env node
/** The published package's command: hands over to `cli.js` beside it on the Node that the package brings along. */
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { runOnNode } from "./runtime.mjs"

const folder = fileURLToPath(new URL(".", import.meta.url))
runOnNode(folder, [join(folder, "cli.js"), ...process.argv.slice(2)])
