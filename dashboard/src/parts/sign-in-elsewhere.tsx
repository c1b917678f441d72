/** The way in through the organisation's own sign-in, where the operator has set it up. */
import { Button, Divider, Stack } from "@mantine/core"
import { IconLogin2 } from "@tabler/icons-react"
import { useQuery } from "@tanstack/react-query"
import { given } from "waybill-sdk"
import { waybill } from "../waybill.ts"

/** In which ways one comes in here, and in which words one that has failed is told. */
export const signInQuery = {
  queryKey: ["sign-in"],
  queryFn: () => given(waybill.GET("/v1/sign-in")),
  staleTime: 60_000,
} as const

export function SignInElsewhere() {
  const { data } = useQuery(signInQuery)
  if (!data?.oidc) return null
  return (
    <Stack mt="md">
      <Divider label="or" />
      <Button
        component="a"
        href="/v1/session/oidc"
        variant="default"
        fullWidth
        leftSection={<IconLogin2 size={16} aria-hidden />}
      >
        Sign in with {data.oidc.name}
      </Button>
    </Stack>
  )
}
