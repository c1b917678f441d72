/** Secrets that can be told again wherever they come out: planted by a test, and looked for in everything that is said and kept. */
import { Buffer } from "node:buffer"

/** A secret, and where it may stand in clear nevertheless. */
interface Canary {
  readonly name: string
  /** How it could stand in a text. */
  readonly forms: readonly string[]
}

export class Canaries {
  readonly #planted: Canary[] = []

  get count(): number {
    return this.#planted.length
  }

  /** Makes a secret of a name, `canary-<name>-…`; gives its text. */
  make(name: string, form: (text: string) => string = text => text): string {
    const text = form(`canary-${name}-${Math.random().toString(36).slice(2, 12)}`)
    this.plant(name, text)
    return text
  }

  /** Looks out for a secret that was made elsewhere. Parts of it are as secret as the whole. */
  plant(name: string, text: string, ...parts: readonly string[]): void {
    const forms = [text, ...parts].flatMap(part => [
      part,
      encodeURIComponent(part),
      Buffer.from(part).toString("base64").replace(/=+$/, ""),
      Buffer.from(part).toString("base64url"),
      Buffer.from(part).toString("hex"),
      JSON.stringify(part).slice(1, -1),
    ])
    this.#planted.push({ name, forms: [...new Set(forms)] })
  }

  /** Names of the secrets that stand in a text, without those that may. */
  foundIn(text: string, allowed: readonly string[] = []): string[] {
    return this.#planted
      .filter(({ name, forms }) => !allowed.includes(name) && forms.some(form => text.includes(form)))
      .map(({ name }) => name)
  }

  /** All texts that give a secret away, without those of these names. */
  forms(without: readonly string[] = []): string[] {
    return this.#planted.filter(({ name }) => !without.includes(name)).flatMap(({ forms }) => forms)
  }

  /** Which secret a text of `forms` is of. */
  nameOf(form: string): string {
    return this.#planted.find(({ forms }) => forms.includes(form))?.name ?? "?"
  }
}
