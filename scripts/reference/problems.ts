/** The page of problems, from the table in src/api/problem.ts. */
import { problems } from "../../src/api/problem.ts"
import { code, pageHead, table, text } from "./markdown.ts"

const intro = `Every error of the API is a problem document ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)) with the content type
\`application/problem+json\`:

\`\`\`json
{
  "type": "http://127.0.0.1:8080/problems/invalid",
  "title": "The request is well-formed but wrong",
  "status": 422,
  "code": "invalid",
  "detail": "\\"ocurred_at\\" is no field of an event: did you mean \\"occurred_at\\"?",
  "instance": "6e0ad3a0-6c1c-4a2e-9f0e-4f3f0f3d7a61",
  "errors": [
    { "pointer": "/ocurred_at", "message": "\\"ocurred_at\\" is no field of an event: did you mean \\"occurred_at\\"?" }
  ]
}
\`\`\`

Programs go by \`code\`, which is the same at every Waybill; people read \`detail\`. \`type\` is an address that explains the kind of
problem and needs no key; it begins with \`WAYBILL_PUBLIC_URL\`, or with the address that the server listens on where that is unset. That of
\`quota_exceeded\` is registered with IANA, the same everywhere.
\`errors\` is there where single fields are wrong: \`pointer\` is a JSON pointer into the body, or begins with \`header/\`, \`query/\`
or \`params/\`. \`instance\` is the request's id, which also comes in the header \`x-request-id\` and stands in the log. What was
refused at ingest can be read for 7 days at \`GET /v1/rejections\`.

Send the same request again, unchanged, after a 429 or a 503, once \`Retry-After\` has passed; after any other 4xx it would be
refused again.`

/** The page as Markdown, by status. */
export function problemsPage(): string {
  const rows = Object.entries(problems)
    .sort(([, a], [, b]) => a.status - b.status)
    .map(([name, { status, title, advice }]) => [String(status), code(name), text(title), advice])
  return `${pageHead("Problems", "src/api/problem.ts", intro)}\n${table(["status", "code", "title", "what to do"], rows)}`
}
