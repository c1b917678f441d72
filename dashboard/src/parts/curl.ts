/** Requests as curl lines that a shell takes as they are. */

/** A text in single quotes, for a POSIX shell. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}

export function curlOf(request: {
  readonly url: string
  readonly headers: readonly { readonly name: string; readonly value: string | null }[]
  readonly body: string | null
}): string {
  const headers = request.headers.map(({ name, value }) =>
    // Double quotes, so that the shell puts the secret in.
    value === null ? `-H "${name}: $SECRET"` : `-H ${quoted(`${name}: ${value}`)}`,
  )
  return [
    `curl -sS -i ${quoted(request.url)}`,
    ...headers,
    ...(request.body === null ? [] : [`--data-binary ${quoted(request.body)}`]),
  ].join(" \\\n  ")
}
