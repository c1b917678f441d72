/**
 * The routes. Each page is a file of its own that is loaded when it is first opened; its filters stand in the URL. What a page
 * finds in the URL it reads through `searchOf…`, so that a link from anywhere is checked by the compiler.
 */
import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  lazyRouteComponent,
  redirect,
} from "@tanstack/react-router"
import { NotFound, RootError } from "./pages/not-found.tsx"
import { Shell } from "./shell.tsx"
import { queries, sessionQuery } from "./waybill.ts"

/** Query parameters that are texts; others are left out. */
export type Search = Readonly<Record<string, string>>

export function textsOf(search: Record<string, unknown>): Search {
  return Object.fromEntries(
    Object.entries(search).flatMap(([name, value]) =>
      value === undefined || value === null || value === "" ? [] : [[name, String(value)]],
    ),
  )
}

const root = createRootRouteWithContext()({ notFoundComponent: NotFound, errorComponent: RootError })

const signIn = createRoute({
  getParentRoute: () => root,
  path: "/sign-in",
  validateSearch: textsOf,
  component: lazyRouteComponent(() => import("./pages/sign-in.tsx"), "SignIn"),
})

const setUp = createRoute({
  getParentRoute: () => root,
  path: "/setup",
  validateSearch: textsOf,
  component: lazyRouteComponent(() => import("./pages/setup.tsx"), "SetUp"),
})

const invitation = createRoute({
  getParentRoute: () => root,
  path: "/invitation",
  validateSearch: textsOf,
  component: lazyRouteComponent(() => import("./pages/invitation.tsx"), "Invitation"),
})

/** Everything for which somebody has to be signed in. */
const signedIn = createRoute({
  getParentRoute: () => root,
  id: "signed-in",
  component: Shell,
  beforeLoad: async ({ location }) => {
    const session = await queries.ensureQueryData(sessionQuery)
    if (session === null) throw redirect({ to: "/sign-in", search: { next: location.href } })
  },
})

const overview = createRoute({
  getParentRoute: () => signedIn,
  path: "/",
  validateSearch: textsOf,
  component: lazyRouteComponent(() => import("./pages/overview.tsx"), "Overview"),
})

const events = createRoute({
  getParentRoute: () => signedIn,
  path: "/events",
  validateSearch: textsOf,
  component: lazyRouteComponent(() => import("./pages/events.tsx"), "Events"),
})

const event = createRoute({
  getParentRoute: () => signedIn,
  path: "/events/$id",
  validateSearch: textsOf,
  component: lazyRouteComponent(() => import("./pages/event.tsx"), "EventPage"),
})

const deliveries = createRoute({
  getParentRoute: () => signedIn,
  path: "/deliveries",
  validateSearch: textsOf,
  component: lazyRouteComponent(() => import("./pages/deliveries.tsx"), "Deliveries"),
})

const integrations = createRoute({
  getParentRoute: () => signedIn,
  path: "/integrations",
  validateSearch: textsOf,
  component: lazyRouteComponent(() => import("./pages/integrations.tsx"), "Integrations"),
})

const newIntegration = createRoute({
  getParentRoute: () => signedIn,
  path: "/integrations/new",
  validateSearch: textsOf,
  component: lazyRouteComponent(() => import("./pages/integration-new.tsx"), "NewIntegration"),
})

const integration = createRoute({
  getParentRoute: () => signedIn,
  path: "/integrations/$id",
  validateSearch: textsOf,
  component: lazyRouteComponent(() => import("./pages/integration.tsx"), "IntegrationPage"),
})

const eventTypes = createRoute({
  getParentRoute: () => signedIn,
  path: "/event-types",
  validateSearch: textsOf,
  component: lazyRouteComponent(() => import("./pages/event-types.tsx"), "EventTypes"),
})

const eventType = createRoute({
  getParentRoute: () => signedIn,
  path: "/event-types/$name",
  validateSearch: textsOf,
  component: lazyRouteComponent(() => import("./pages/event-type.tsx"), "EventTypePage"),
})

const apps = createRoute({
  getParentRoute: () => signedIn,
  path: "/apps",
  validateSearch: textsOf,
  component: lazyRouteComponent(() => import("./pages/apps.tsx"), "Apps"),
})

const rejections = createRoute({
  getParentRoute: () => signedIn,
  path: "/rejections",
  validateSearch: textsOf,
  component: lazyRouteComponent(() => import("./pages/rejections.tsx"), "Rejections"),
})

const recoveries = createRoute({
  getParentRoute: () => signedIn,
  path: "/recoveries",
  validateSearch: textsOf,
  component: lazyRouteComponent(() => import("./pages/recoveries.tsx"), "Recoveries"),
})

const newRecovery = createRoute({
  getParentRoute: () => signedIn,
  path: "/recoveries/new",
  validateSearch: textsOf,
  component: lazyRouteComponent(() => import("./pages/new-recovery.tsx"), "NewRecovery"),
})

const recovery = createRoute({
  getParentRoute: () => signedIn,
  path: "/recoveries/$id",
  validateSearch: textsOf,
  component: lazyRouteComponent(() => import("./pages/recovery.tsx"), "RecoveryPage"),
})

const profile = createRoute({
  getParentRoute: () => signedIn,
  path: "/profiles/$id",
  validateSearch: textsOf,
  component: lazyRouteComponent(() => import("./pages/profile.tsx"), "ProfilePage"),
})

const usage = createRoute({
  getParentRoute: () => signedIn,
  path: "/usage",
  validateSearch: textsOf,
  component: lazyRouteComponent(() => import("./pages/usage.tsx"), "Usage"),
})

const alerts = createRoute({
  getParentRoute: () => signedIn,
  path: "/alerts",
  validateSearch: textsOf,
  component: lazyRouteComponent(() => import("./pages/alerts.tsx"), "Alerts"),
})

const apiKeys = createRoute({
  getParentRoute: () => signedIn,
  path: "/api-keys",
  validateSearch: textsOf,
  component: lazyRouteComponent(() => import("./pages/api-keys.tsx"), "ApiKeys"),
})

const people = createRoute({
  getParentRoute: () => signedIn,
  path: "/people",
  validateSearch: textsOf,
  component: lazyRouteComponent(() => import("./pages/people.tsx"), "People"),
})

const auditLog = createRoute({
  getParentRoute: () => signedIn,
  path: "/audit-log",
  validateSearch: textsOf,
  component: lazyRouteComponent(() => import("./pages/audit-log.tsx"), "AuditLog"),
})

const settings = createRoute({
  getParentRoute: () => signedIn,
  path: "/settings",
  validateSearch: textsOf,
  component: lazyRouteComponent(() => import("./pages/settings.tsx"), "Settings"),
})

const account = createRoute({
  getParentRoute: () => signedIn,
  path: "/account",
  validateSearch: textsOf,
  component: lazyRouteComponent(() => import("./pages/account.tsx"), "Account"),
})

const status = createRoute({
  getParentRoute: () => signedIn,
  path: "/status",
  validateSearch: textsOf,
  component: lazyRouteComponent(() => import("./pages/status.tsx"), "StatusPage"),
})

/** Of the project and of Waybill itself, as far as they are no events, deliveries or integrations. */
const around = [
  eventTypes,
  eventType,
  apps,
  rejections,
  recoveries,
  newRecovery,
  recovery,
  profile,
  usage,
  alerts,
  apiKeys,
  people,
  auditLog,
  settings,
  account,
  status,
] as const

export const router = createRouter({
  routeTree: root.addChildren([
    signIn,
    setUp,
    invitation,
    signedIn.addChildren([...around, overview, events, event, deliveries, integrations, newIntegration, integration]),
  ]),
  defaultPreload: "intent",
  defaultPreloadStaleTime: 0,
  scrollRestoration: true,
  // Texts as they are: the default writes them as JSON, in quotes.
  parseSearch: text => Object.fromEntries(new URLSearchParams(text)),
  stringifySearch: search => {
    const text = new URLSearchParams(textsOf(search as Record<string, unknown>)).toString()
    return text === "" ? "" : `?${text}`
  },
})

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router
  }
}
