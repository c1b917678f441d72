/** What a problem says of the fields of a form. */
import { WaybillProblem } from "waybill-sdk"

/** By the name of the field: for `form.setErrors`. `nested`: fields that have fields of their own, such as `portal.name`. */
export function faultsOfFields(error: unknown, nested: readonly string[] = []): Record<string, string> {
  if (!(error instanceof WaybillProblem)) return {}
  return Object.fromEntries(
    error.errors.flatMap(({ pointer, message }) => {
      const [, name, within] = /^\/?(?:params\/)?(\w+)(?:\/(\w+))?/.exec(pointer) ?? []
      if (name === undefined) return []
      return [[within !== undefined && nested.includes(name) ? `${name}.${within}` : name, message]]
    }),
  )
}
