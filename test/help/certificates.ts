/** Certificates for tests: an authority that the test trusts, and leaves with every fault that a leaf can have. */
import { generate } from "selfsigned"

/** A key and a certificate, as `tls.createServer` takes them. */
export interface Pair {
  readonly key: string
  readonly cert: string
}

const DAY_MS = 86_400_000

/** An authority that signs others. */
export async function authority(name: string): Promise<Pair> {
  const made = await generate([{ name: "commonName", value: name }], {
    keyType: "ec",
    algorithm: "sha256",
    extensions: [
      { name: "basicConstraints", cA: true, critical: true },
      { name: "keyUsage", keyCertSign: true, critical: true },
    ],
  })
  return { key: made.private, cert: made.cert }
}

/** A server's certificate for a name and 127.0.0.1; signed by itself without an authority. */
export async function leaf(
  name: string,
  options: { readonly by?: Pair; readonly fromMs?: number; readonly untilMs?: number; readonly addresses?: string[] },
): Promise<Pair> {
  const made = await generate([{ name: "commonName", value: name }], {
    keyType: "ec",
    algorithm: "sha256",
    notBeforeDate: new Date(options.fromMs ?? Date.now() - DAY_MS),
    notAfterDate: new Date(options.untilMs ?? Date.now() + DAY_MS),
    ...(options.by === undefined ? {} : { ca: options.by }),
    extensions: [
      { name: "basicConstraints", cA: false },
      {
        name: "subjectAltName",
        altNames: [{ type: 2, value: name }, ...(options.addresses ?? []).map(ip => ({ type: 7, ip }) as const)],
      },
    ],
  })
  return { key: made.private, cert: made.cert }
}
