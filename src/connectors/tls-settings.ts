/** TLS as an integration's owner may set it: a client certificate to show, and authorities of one's own to trust. */
import { createHash, createPrivateKey, type KeyObject, X509Certificate } from "node:crypto"
import Type, { type Static } from "typebox"
import type { TlsIdentity } from "../domain/exchange.ts"
import type { SettingsFault } from "./connector.ts"

const MAX_CERTIFICATE_CHARACTERS = 65_536
const MAX_KEY_CHARACTERS = 16_384
/** A chain is three or four long; a bundle of one's own authorities hardly longer. */
const MAX_CERTIFICATES = 20
/** Below it OpenSSL refuses to use a key at all. */
const MIN_RSA_BITS = 2_048

export const tlsSchema = Type.Object(
  {
    certificate: Type.Optional(
      Type.String({
        title: "Client certificate",
        description:
          "Shown to the endpoint, as PEM: the certificate itself first, then those between it and its authority.",
        minLength: 1,
        maxLength: MAX_CERTIFICATE_CHARACTERS,
      }),
    ),
    key: Type.Optional(
      Type.String({
        title: "Private key",
        description: "The key of the client certificate, as PEM, without a passphrase.",
        secret: true,
        minLength: 1,
        maxLength: MAX_KEY_CHARACTERS,
      }),
    ),
    ca: Type.Optional(
      Type.String({
        title: "Own authorities",
        description: "Certificates, as PEM, that the endpoint's own may come from, beside the public authorities.",
        minLength: 1,
        maxLength: MAX_CERTIFICATE_CHARACTERS,
      }),
    ),
  },
  {
    title: "TLS",
    description:
      "A client certificate for endpoints that ask for one (mTLS), and authorities of one's own. For the token URL, too.",
    minProperties: 1,
    additionalProperties: false,
  },
)

export type TlsSettings = Static<typeof tlsSchema>

/**
 * What the schema cannot say of it; pointers begin at `tls` itself. `now` in ms since 1970: where it is given, a certificate
 * that has run out by then is a fault too. What is kept already is never held against the clock: the other side says so.
 */
export function checkTls({ certificate, key, ca }: TlsSettings, now?: number): SettingsFault[] {
  const faults: SettingsFault[] = []
  const report = (pointer: string, message: string | null): void => {
    if (message !== null) faults.push({ pointer, message })
  }
  if (certificate !== undefined && key === undefined) report("/key", "A client certificate needs its private key too.")
  if (key !== undefined && certificate === undefined) report("/certificate", "A private key needs its certificate too.")
  if (ca !== undefined) {
    const reading = readCertificates(ca)
    report("/ca", reading.fault ?? expiryFault(reading.certificates, now))
  }
  const chain = certificate === undefined ? null : readCertificates(certificate)
  if (chain !== null) report("/certificate", chain.fault ?? expiryFault(chain.certificates.slice(0, 1), now))
  const own = key === undefined ? null : readKey(key)
  if (own !== null) report("/key", own.fault)
  if (chain?.fault === null && own?.key !== undefined) {
    const [leaf] = chain.certificates
    if (leaf !== undefined && !leaf.checkPrivateKey(own.key))
      report("/certificate", mismatch(chain.certificates, own.key))
  }
  return faults
}

interface Certificates {
  readonly certificates: readonly X509Certificate[]
  readonly fault: string | null
}

function readCertificates(text: string): Certificates {
  const broken = (fault: string): Certificates => ({ certificates: [], fault })
  if (text.includes("PRIVATE KEY-----")) {
    return broken("A private key stands among the certificates. Put it into key, where it is kept secret.")
  }
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? []
  if (blocks.length === 0) {
    return broken(
      "This is no certificate in PEM: it begins with -----BEGIN CERTIFICATE----- and ends with its END line.",
    )
  }
  if (blocks.length > MAX_CERTIFICATES) {
    return broken(`There are ${blocks.length} certificates; ${MAX_CERTIFICATES} are the most.`)
  }
  const certificates: X509Certificate[] = []
  for (const [i, block] of blocks.entries()) {
    try {
      certificates.push(new X509Certificate(block))
    } catch {
      return broken(
        `Certificate ${i + 1} of ${blocks.length} cannot be read. Copy it again, in full, with its BEGIN and END lines.`,
      )
    }
  }
  return { certificates, fault: null }
}

function readKey(text: string): { readonly key?: KeyObject; readonly fault: string | null } {
  if (/ENCRYPTED/.test(text)) {
    const how = "Decrypt it first, as with openssl pkey -in key.pem -out plain.pem; here it is kept sealed."
    return { fault: `The private key is encrypted with a passphrase, which Waybill could not enter. ${how}` }
  }
  let key: KeyObject
  try {
    key = createPrivateKey({ key: text, format: "pem" })
  } catch {
    const form = "it begins with -----BEGIN PRIVATE KEY----- (or RSA or EC PRIVATE KEY) and ends with its END line"
    return { fault: `This is no private key in PEM: ${form}. Copy it again, in full.` }
  }
  const bits = key.asymmetricKeyDetails?.modulusLength
  if (bits !== undefined && bits < MIN_RSA_BITS) {
    return {
      fault: `The private key has ${bits} bits; ${MIN_RSA_BITS} are the least that TLS takes. Have a new one made.`,
    }
  }
  return { key, fault: null }
}

function mismatch(chain: readonly X509Certificate[], key: KeyObject): string {
  return chain.some(certificate => certificate.checkPrivateKey(key))
    ? "The certificate of the private key has to stand first, before those between it and its authority."
    : "The certificate and the private key do not belong together. Give the pair as it was made."
}

function expiryFault(certificates: readonly X509Certificate[], now: number | undefined): string | null {
  if (now === undefined) return null
  const expired = certificates.find(certificate => certificate.validToDate.getTime() <= now)
  if (expired === undefined) return null
  return `The certificate has expired on ${expired.validToDate.toISOString().slice(0, 10)}. Give one that is still valid.`
}

/** What the transport needs of these settings, which have passed `checkTls`. */
export function identityOf({ certificate, key, ca }: TlsSettings): TlsIdentity {
  const client = certificate === undefined || key === undefined ? null : { certificate, key }
  const digest = createHash("sha256").update(JSON.stringify([certificate ?? null, key ?? null, ca ?? null]))
  return { digest: digest.digest("base64url"), client, authorities: ca ?? null }
}
