/**
 * The container's health check: ends with 0 where Waybill answers a path with 2xx, with 1 where it does not. A program of
 * our own, because the image has no curl.
 *
 *     node health.mjs /readyz
 */
const [path = "/livez"] = process.argv.slice(2)
const answer = await fetch(`http://127.0.0.1:${process.env.PORT}${path}`).catch(() => undefined)
process.exit(answer?.ok ? 0 : 1)
