/** Starts the dashboard. */
import "@mantine/core/styles.css"
import "@mantine/dates/styles.css"
import "@mantine/notifications/styles.css"
import "./trusted.ts"
import "./main.css"
import { MantineProvider } from "@mantine/core"
import { Notifications } from "@mantine/notifications"
import { QueryClientProvider } from "@tanstack/react-query"
import { RouterProvider } from "@tanstack/react-router"
import { StrictMode } from "react"
import { createRoot } from "react-dom/client"
import { portal } from "./portal.ts"
import { router } from "./router.tsx"
import { theme } from "./theme.ts"
import { queries } from "./waybill.ts"

const nonce = document.querySelector<HTMLMetaElement>('meta[name="style-nonce"]')?.content
// What locks the page behind a dialog writes a style of its own, and looks for the nonce here (the package get-nonce).
Object.assign(globalThis, { __webpack_nonce__: nonce })
const root = document.getElementById("root")
if (root === null) throw new Error("The page has no #root.")

createRoot(root).render(
  <StrictMode>
    <MantineProvider
      theme={theme}
      defaultColorScheme="auto"
      getStyleNonce={() => nonce ?? ""}
      {...(portal?.scheme && { forceColorScheme: portal.scheme })}
    >
      <Notifications position="bottom-right" />
      <QueryClientProvider client={queries}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </MantineProvider>
  </StrictMode>,
)
