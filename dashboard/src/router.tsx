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
import { given, WaybillProblem } from "waybill-sdk"
import { NotFound, PageError, RootError } from "./pages/not-found.tsx"
import { portal } from "./portal.ts"
import { Shell } from "./shell.tsx"
import { queries, sessionQuery, waybill } from "./waybill.ts"

/** Query parameters that are texts; others are left out. */
export type Search = Readonly<Record<string, string>>

export function textsOf(search: Record<string, unknown>): Search {
  return Object.fromEntries(
    Object.entries(search).flatMap(([name, value]) =>
      value === undefined || value === null || value === "" ? [] : [[name, String(value)]],
    ),
  )
}

/**
 * A page's code, loaded when it is first opened. Without a connection that says so: the router would take it for a page of
 * an older version and load the whole address anew, and the browser would show words of its own.
 */
const page = ((load, name) =>
  lazyRouteComponent(async () => {
    try {
      return await load()
    } catch (error) {
      if (await fetch("/livez").catch(() => undefined)) throw error
      throw new WaybillProblem({
        status: 0,
        code: "no_connection",
        title: "No connection to Waybill",
        detail: "This page could not be loaded.",
      })
    }
  }, name)) as typeof lazyRouteComponent

const root = createRootRouteWithContext()({ notFoundComponent: NotFound, errorComponent: RootError })

const signIn = createRoute({
  getParentRoute: () => root,
  path: "/sign-in",
  validateSearch: textsOf,
  component: page(() => import("./pages/sign-in.tsx"), "SignIn"),
})

const setUp = createRoute({
  getParentRoute: () => root,
  path: "/setup",
  validateSearch: textsOf,
  component: page(() => import("./pages/setup.tsx"), "SetUp"),
})

const passwordReset = createRoute({
  getParentRoute: () => root,
  path: "/password-reset",
  validateSearch: textsOf,
  component: page(() => import("./pages/password-reset.tsx"), "PasswordReset"),
})

const invitation = createRoute({
  getParentRoute: () => root,
  path: "/invitation",
  validateSearch: textsOf,
  component: page(() => import("./pages/invitation.tsx"), "Invitation"),
})

/** Where people come in. A portal has none of it: nobody's password is asked for in a frame. */
const entrance = [signIn, setUp, passwordReset, invitation] as const

/** Everything for which somebody has to be signed in. */
const signedIn = createRoute({
  getParentRoute: () => root,
  id: "signed-in",
  component: portal === null ? Shell : lazyRouteComponent(() => import("./portal-shell.tsx"), "PortalShell"),
  beforeLoad: async ({ location }) => {
    // Whose time is over reads so on the page itself: there is nowhere to sign in.
    if (portal !== null) return
    const session = await queries.ensureQueryData(sessionQuery)
    if (session === null) throw redirect({ to: "/sign-in", search: { next: location.href } })
  },
})

const overview = createRoute({
  getParentRoute: () => signedIn,
  path: "/",
  validateSearch: textsOf,
  component: page(() => import("./pages/overview.tsx"), "Overview"),
})

const events = createRoute({
  getParentRoute: () => signedIn,
  path: "/events",
  validateSearch: textsOf,
  component: page(() => import("./pages/events.tsx"), "Events"),
})

const event = createRoute({
  getParentRoute: () => signedIn,
  path: "/events/$id",
  validateSearch: textsOf,
  component: page(() => import("./pages/event.tsx"), "EventPage"),
})

const deliveries = createRoute({
  getParentRoute: () => signedIn,
  path: "/deliveries",
  validateSearch: textsOf,
  component: page(() => import("./pages/deliveries.tsx"), "Deliveries"),
})

/** A delivery is shown on its event's page. */
const delivery = createRoute({
  getParentRoute: () => signedIn,
  path: "/deliveries/$id",
  beforeLoad: async ({ params: { id } }) => {
    const { event } = await given(waybill.GET("/v1/deliveries/{id}", { params: { path: { id } } }))
    throw redirect({ to: "/events/$id", params: { id: event.id }, search: { delivery: id } })
  },
})

const reason = createRoute({
  getParentRoute: () => signedIn,
  path: "/reasons/$code",
  component: page(() => import("./pages/reason.tsx"), "ReasonPage"),
})

const integrations = createRoute({
  getParentRoute: () => signedIn,
  path: "/integrations",
  validateSearch: textsOf,
  component: page(() => import("./pages/integrations.tsx"), "Integrations"),
})

const newIntegration = createRoute({
  getParentRoute: () => signedIn,
  path: "/integrations/new",
  validateSearch: textsOf,
  component: page(() => import("./pages/integration-new.tsx"), "NewIntegration"),
})

const integration = createRoute({
  getParentRoute: () => signedIn,
  path: "/integrations/$id",
  validateSearch: textsOf,
  component: page(() => import("./pages/integration.tsx"), "IntegrationPage"),
})

const eventTypes = createRoute({
  getParentRoute: () => signedIn,
  path: "/event-types",
  validateSearch: textsOf,
  component: page(() => import("./pages/event-types.tsx"), "EventTypes"),
})

const eventType = createRoute({
  getParentRoute: () => signedIn,
  path: "/event-types/$name",
  validateSearch: textsOf,
  component: page(() => import("./pages/event-type.tsx"), "EventTypePage"),
})

const apps = createRoute({
  getParentRoute: () => signedIn,
  path: "/apps",
  validateSearch: textsOf,
  component: page(() => import("./pages/apps.tsx"), "Apps"),
})

const rejections = createRoute({
  getParentRoute: () => signedIn,
  path: "/rejections",
  validateSearch: textsOf,
  component: page(() => import("./pages/rejections.tsx"), "Rejections"),
})

const recoveries = createRoute({
  getParentRoute: () => signedIn,
  path: "/recoveries",
  validateSearch: textsOf,
  component: page(() => import("./pages/recoveries.tsx"), "Recoveries"),
})

const newRecovery = createRoute({
  getParentRoute: () => signedIn,
  path: "/recoveries/new",
  validateSearch: textsOf,
  component: page(() => import("./pages/new-recovery.tsx"), "NewRecovery"),
})

const recovery = createRoute({
  getParentRoute: () => signedIn,
  path: "/recoveries/$id",
  validateSearch: textsOf,
  component: page(() => import("./pages/recovery.tsx"), "RecoveryPage"),
})

const profile = createRoute({
  getParentRoute: () => signedIn,
  path: "/profiles/$id",
  validateSearch: textsOf,
  component: page(() => import("./pages/profile.tsx"), "ProfilePage"),
})

const usage = createRoute({
  getParentRoute: () => signedIn,
  path: "/usage",
  validateSearch: textsOf,
  component: page(() => import("./pages/usage.tsx"), "Usage"),
})

const alerts = createRoute({
  getParentRoute: () => signedIn,
  path: "/alerts",
  validateSearch: textsOf,
  component: page(() => import("./pages/alerts.tsx"), "Alerts"),
})

const apiKeys = createRoute({
  getParentRoute: () => signedIn,
  path: "/api-keys",
  validateSearch: textsOf,
  component: page(() => import("./pages/api-keys.tsx"), "ApiKeys"),
})

const people = createRoute({
  getParentRoute: () => signedIn,
  path: "/people",
  validateSearch: textsOf,
  component: page(() => import("./pages/people.tsx"), "People"),
})

const auditLog = createRoute({
  getParentRoute: () => signedIn,
  path: "/audit-log",
  validateSearch: textsOf,
  component: page(() => import("./pages/audit-log.tsx"), "AuditLog"),
})

const settings = createRoute({
  getParentRoute: () => signedIn,
  path: "/settings",
  validateSearch: textsOf,
  component: page(() => import("./pages/settings.tsx"), "Settings"),
})

const account = createRoute({
  getParentRoute: () => signedIn,
  path: "/account",
  validateSearch: textsOf,
  component: page(() => import("./pages/account.tsx"), "Account"),
})

const status = createRoute({
  getParentRoute: () => signedIn,
  path: "/status",
  validateSearch: textsOf,
  component: page(() => import("./pages/status.tsx"), "StatusPage"),
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
  delivery,
  reason,
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

/** Every other address of a portal, for which it has a sentence. */
const nowhere = createRoute({ getParentRoute: () => signedIn, path: "$" })

const pages = [...around, overview, events, event, deliveries, integrations, newIntegration, integration] as const

/** The tree of the dashboard is what links are checked by; a portal's is a part of it. */
const tree = () => root.addChildren([...entrance, signedIn.addChildren([...pages])])

export const router = createRouter({
  routeTree:
    portal === null
      ? tree()
      : (root.addChildren([signedIn.addChildren([...pages, nowhere])]) as unknown as ReturnType<typeof tree>),
  // A portal has the same pages below an address of its own.
  basepath: portal?.base ?? "/",
  defaultErrorComponent: PageError,
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
