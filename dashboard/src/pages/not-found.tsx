/** An address that leads nowhere, and an error that nothing else has caught. */
import { Anchor, Container } from "@mantine/core"
import type { ErrorComponentProps } from "@tanstack/react-router"
import { useEffect } from "react"
import { Empty, Page, Trouble } from "../parts/page.tsx"

export function NotFound() {
  return (
    <Container py="xl" component="main">
      <Page title="There is no such page">
        <Empty title="This address leads nowhere">
          The link may be old, or have lost a part. <Anchor href="/">Go to the overview</Anchor>.
        </Empty>
      </Page>
    </Container>
  )
}

/** Of a page within the shell, which has the landmark. */
export function PageError({ error }: ErrorComponentProps) {
  useEffect(() => {
    window.addEventListener("online", loadAnew)
    return () => window.removeEventListener("online", loadAnew)
  }, [])
  const isUnloaded = error instanceof Error && /dynamically imported module|module script/i.test(error.message)
  return (
    <Page title="This page cannot be shown">
      {isUnloaded ? (
        <Empty title="It could not be loaded">
          Waybill did not answer, or is of another version by now. See that you are online, then{" "}
          <Anchor component="button" type="button" size="sm" onClick={loadAnew}>
            load the page again
          </Anchor>
          .
        </Empty>
      ) : (
        <Trouble error={error instanceof Error ? error : new Error(String(error))} again={loadAnew} />
      )}
    </Page>
  )
}

export function RootError(props: ErrorComponentProps) {
  return (
    <Container py="xl" component="main">
      <PageError {...props} />
    </Container>
  )
}

/** Only where Waybill answers: without a connection the browser would show a page of its own in place of this one. */
function loadAnew(): void {
  void fetch("/livez").then(
    () => window.location.reload(),
    () => undefined,
  )
}
