/** An address that leads nowhere, and an error that nothing else has caught. */
import { Anchor, Container } from "@mantine/core"
import type { ErrorComponentProps } from "@tanstack/react-router"
import { Empty, Page, Trouble } from "../parts/page.tsx"

export function NotFound() {
  return (
    <Container py="xl">
      <Page title="There is no such page">
        <Empty title="This address leads nowhere">
          The link may be old, or have lost a part. <Anchor href="/">Go to the overview</Anchor>.
        </Empty>
      </Page>
    </Container>
  )
}

export function RootError({ error, reset }: ErrorComponentProps) {
  return (
    <Container py="xl">
      <Page title="This page cannot be shown">
        <Trouble error={error instanceof Error ? error : new Error(String(error))} again={reset} />
      </Page>
    </Container>
  )
}
