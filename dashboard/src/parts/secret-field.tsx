/** A field for a secret. Mantine's own does not tell a screen reader that what stands in it is wrong. */
import { PasswordInput, type PasswordInputProps } from "@mantine/core"

export function SecretField(props: PasswordInputProps) {
  return <PasswordInput {...props} aria-invalid={Boolean(props.error) || undefined} />
}
