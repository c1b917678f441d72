/**
 * The dashboard: its page for every address that is no other's, and its files. All of them are read once, at the start, so
 * that a request is a look into a map and no path leads anywhere else. Without them (a clone in which nothing was built)
 * the page says how they are made.
 */
import { randomBytes } from "node:crypto"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { extname, join, relative, sep } from "node:path"
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify"
import { parseId } from "../domain/id.ts"
import type { Directory } from "../engine/directory.ts"

/** A file as it is sent. */
interface Asset {
  readonly type: string
  readonly plain: Buffer
  /** Made when the dashboard was built; undefined for what does not get smaller. */
  readonly brotli: Buffer | undefined
  readonly gzip: Buffer | undefined
}

/** What a folder that Vite wrote holds. */
export interface Dashboard {
  /** index.html, with `__STYLE_NONCE__` where the nonce belongs and `__FRAME_ORIGINS__` where it is said who may frame it. */
  readonly page: string
  /** By its path in the address, such as `/assets/index-B5x.js`. */
  readonly assets: ReadonlyMap<string, Asset>
}

const types: Readonly<Record<string, string>> = {
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".woff2": "font/woff2",
  ".png": "image/png",
}

/** Vite puts a hash of the content into these names. */
const HASHED = "/assets/"

/** Reads a built dashboard; undefined where there is none. */
export function readDashboard(folder: string): Dashboard | undefined {
  const index = join(folder, "index.html")
  if (!existsSync(index)) return undefined
  const assets = new Map<string, Asset>()
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    const type = types[extname(entry.name)]
    if (!entry.isFile() || type === undefined) continue
    const packed = (suffix: string) => (existsSync(path + suffix) ? readFileSync(path + suffix) : undefined)
    const address = `/${relative(folder, path).split(sep).join("/")}`
    assets.set(address, { type, plain: readFileSync(path), brotli: packed(".br"), gzip: packed(".gz") })
  }
  return { page: readFileSync(index, "utf8"), assets }
}

/** Serves the files. The page itself is given by `sendPage` to whoever asks for an address that there is not. */
export function dashboardRoutes(server: FastifyInstance, dashboard: Dashboard | undefined): void {
  const send = (request: FastifyRequest, reply: FastifyReply): unknown => {
    const asset = dashboard?.assets.get(request.url.split("?")[0] ?? "")
    if (asset === undefined) return reply.callNotFound()
    const accepted = request.headers["accept-encoding"] ?? ""
    const isHashed = request.url.startsWith(HASHED)
    reply
      .type(asset.type)
      .header("vary", "accept-encoding")
      .header("cache-control", isHashed ? "public, max-age=31536000, immutable" : "public, max-age=3600")
    if (asset.brotli !== undefined && /\bbr\b/.test(accepted)) {
      return reply.header("content-encoding", "br").send(asset.brotli)
    }
    if (asset.gzip !== undefined && /\bgzip\b/.test(accepted)) {
      return reply.header("content-encoding", "gzip").send(asset.gzip)
    }
    return reply.send(asset.plain)
  }
  const options = { config: { public: true }, schema: { hide: true } }
  server.get("/assets/*", options, async (request, reply) => send(request, reply))
  server.get("/favicon.svg", options, async (request, reply) => send(request, reply))
}

/** Whether a browser asks for a page, rather than a program for an address of the API. */
export function asksForPage(request: FastifyRequest): boolean {
  const path = request.url.split("?")[0] ?? ""
  const accepts = request.headers.accept ?? ""
  return request.method === "GET" && accepts.includes("text/html") && !path.startsWith("/v1/")
}

/** Who may hold the page that is asked for in a frame: pages that a project names for its portal, and nobody else for any other. */
export function framersOf(request: FastifyRequest, directory: Pick<Directory, "project">): readonly string[] {
  const [, text = ""] = /^\/portal\/([^/?]+)/.exec(request.url) ?? []
  const project = parseId("prj", text)
  return project === undefined ? [] : (directory.project(project)?.portal.frameOrigins ?? [])
}

/**
 * The page, under a policy that lets in nothing but its own files and the styles that carry this answer's nonce (API-28).
 * `framers`: origins of pages that may hold it in a frame.
 */
export function sendPage(reply: FastifyReply, dashboard: Dashboard | undefined, framers: readonly string[]): void {
  const nonce = randomBytes(16).toString("base64")
  // A page that asks for isolation of its own (COEP) may frame only what says so.
  if (framers.length > 0) reply.header("cross-origin-resource-policy", "cross-origin")
  void reply
    .code(200)
    .type("text/html; charset=utf-8")
    .header("content-security-policy", policyWith(nonce, framers))
    .send(
      dashboard === undefined
        ? NOT_BUILT
        : dashboard.page.replaceAll("__STYLE_NONCE__", nonce).replaceAll("__FRAME_ORIGINS__", framers.join(" ")),
    )
}

function policyWith(nonce: string, framers: readonly string[]): string {
  return [
    "default-src 'none'",
    "script-src 'self'",
    `style-src 'self' 'nonce-${nonce}'`,
    "img-src 'self' data:",
    "font-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'self'",
    `frame-ancestors ${framers.length === 0 ? "'none'" : framers.join(" ")}`,
    "object-src 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types default",
  ].join("; ")
}

const NOT_BUILT = `<!doctype html><html lang="en"><title>Waybill</title><h1>Waybill runs</h1>
<p>Its dashboard has not been built here: <code>npm run dashboard</code> does so, then start Waybill again.
The API is at <a href="/openapi.json">/openapi.json</a>.</p></html>
`
