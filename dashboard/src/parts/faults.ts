/** What a problem says of the fields of a form. */
import { WaybillProblem } from "waybill-sdk"

/** By the name of the field: for `form.setErrors`. */
export function faultsOfFields(error: unknown): Record<string, string> {
  if (!(error instanceof WaybillProblem)) return {}
  return Object.fromEntries(
    error.errors.flatMap(({ pointer, message }) => {
      const [, name] = /^\/?(?:params\/)?(\w+)/.exec(pointer) ?? []
      return name === undefined ? [] : [[name, message]]
    }),
  )
}
