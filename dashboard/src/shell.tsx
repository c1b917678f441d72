/** What stands around every page: where one can go, which project one is in, how Waybill itself is doing, who is signed in. */
import {
  ActionIcon,
  AppShell,
  Box,
  Burger,
  Group,
  Menu,
  Modal,
  NavLink,
  ScrollArea,
  Stack,
  Text,
  Tooltip,
  UnstyledButton,
  useMantineColorScheme,
  VisuallyHidden,
} from "@mantine/core"
import { useDisclosure, useHotkeys } from "@mantine/hooks"
import {
  IconActivity,
  IconApps,
  IconBan,
  IconBell,
  IconBook,
  IconChartBar,
  IconChevronDown,
  IconDeviceDesktop,
  IconFolder,
  IconHeartbeat,
  IconHistory,
  IconHome,
  IconKey,
  IconListDetails,
  IconLogout2,
  IconMoon,
  IconPlug,
  IconPlus,
  IconSearch,
  IconSettings,
  IconSun,
  IconTags,
  IconTruckDelivery,
  IconUser,
  IconUsers,
} from "@tabler/icons-react"
import { useQuery } from "@tanstack/react-query"
import { Link, Outlet, useNavigate, useRouter, useRouterState } from "@tanstack/react-router"
import { lazy, Suspense, useEffect, useState } from "react"
import { given } from "waybill-sdk"
import { useMay } from "./parts/access.tsx"
import { ColourBadge } from "./parts/status.tsx"
import { forgetEverything, sessionQuery, waybill } from "./waybill.ts"

/** The places of the menu, with the scope that one needs to see anything there; those of a group fold under its name. */
const places = [
  { to: "/", label: "Overview", icon: IconHome, scope: "integrations:read" },
  { to: "/integrations", label: "Integrations", icon: IconPlug, scope: "integrations:read" },
  { to: "/events", label: "Events", icon: IconActivity, scope: "events:read" },
  { to: "/deliveries", label: "Deliveries", icon: IconTruckDelivery, scope: "events:read" },
  { to: "/recoveries", label: "Recoveries", icon: IconHistory, scope: "events:read" },
  { to: "/rejections", label: "Rejected requests", icon: IconBan, scope: "events:read" },
  { to: "/event-types", label: "Event types", icon: IconTags, scope: "integrations:read", group: "Catalogue" },
  { to: "/apps", label: "Apps", icon: IconApps, scope: "events:read", group: "Catalogue" },
  { to: "/usage", label: "Usage", icon: IconChartBar, scope: "integrations:read", group: "Project" },
  { to: "/alerts", label: "Alerts", icon: IconBell, scope: "integrations:read", group: "Project" },
  { to: "/api-keys", label: "API keys", icon: IconKey, scope: "admin", group: "Project" },
  { to: "/people", label: "People", icon: IconUsers, scope: "admin", group: "Project" },
  { to: "/audit-log", label: "Audit log", icon: IconListDetails, scope: "admin", group: "Project" },
  { to: "/settings", label: "Settings", icon: IconSettings, scope: "admin", group: "Project" },
  { to: "/status", label: "Status of Waybill", icon: IconHeartbeat, scope: "any" },
] as const

interface Place {
  readonly to: string
  readonly label: string
  readonly icon: typeof IconHome
  readonly scope: string
  readonly group?: string
}

const Find = lazy(() => import("./parts/find-anywhere.tsx"))
const NewProject = lazy(() => import("./parts/new-project.tsx"))

export function Shell() {
  const [isOpen, { toggle, close }] = useDisclosure(false)
  const may = useMay()
  const { data: session } = useQuery(sessionQuery)
  const router = useRouter()
  // It ended while the page was open.
  const hasEnded = session === null
  useEffect(() => {
    if (hasEnded) void router.navigate({ to: "/sign-in", search: { next: router.state.location.href } })
  }, [hasEnded, router])
  if (hasEnded) return null
  return (
    <AppShell
      header={{ height: 56 }}
      navbar={{ width: 216, breakpoint: "sm", collapsed: { mobile: !isOpen } }}
      padding={{ base: "sm", sm: "lg" }}
    >
      <a href="#content" className="skip-link">
        Skip to the content
      </a>
      <AppShell.Header px={{ base: "xs", sm: "md" }}>
        <Group h="100%" justify="space-between" wrap="nowrap" gap="xs">
          {/* Gives way where there is little room: what stands to its right has to be reached. */}
          <Group gap="xs" wrap="nowrap" className="grow">
            <Burger opened={isOpen} onClick={toggle} hiddenFrom="sm" size="sm" aria-label="Menu" flex="none" />
            <img src="/favicon.svg" alt="" width={26} height={26} />
            <Text fw={700} component={Link} to="/" c="inherit" td="none" visibleFrom="xs">
              Waybill
            </Text>
            <ProjectMenu />
          </Group>
          <Group gap="xs" wrap="nowrap">
            <FindAnywhere />
            <OwnState />
            <SchemeMenu />
            <PersonMenu />
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar p="xs" aria-label="Pages">
        <ScrollArea>
          <Pages places={places.filter(({ scope }) => may(scope))} leave={close} />
        </ScrollArea>
      </AppShell.Navbar>
      <AppShell.Main id="content" tabIndex={-1}>
        <Outlet />
      </AppShell.Main>
    </AppShell>
  )
}

/** The places that one may go to, each under its group's name where it has one. */
function Pages({ places: shown, leave }: { readonly places: readonly Place[]; readonly leave: () => void }) {
  const path = useRouterState({ select: state => state.location.pathname })
  const isHere = (to: string) => (to === "/" ? path === "/" : path === to || path.startsWith(`${to}/`))
  const link = ({ to, label, icon: Icon }: Place) => (
    <NavLink
      key={to}
      component={Link}
      to={to}
      label={label}
      leftSection={<Icon size={18} stroke={1.7} aria-hidden />}
      active={isHere(to)}
      aria-current={path === to ? "page" : undefined}
      onClick={leave}
    />
  )
  const groups = Map.groupBy(shown, ({ label, group }) => group ?? label)
  return (
    <Stack gap={2}>
      {[...groups].map(([name, members]) =>
        members[0]?.group === undefined ? (
          members.map(link)
        ) : (
          <NavLink
            key={name}
            component="button"
            label={name}
            defaultOpened
            childrenOffset={8}
            leftSection={
              name === "Project" ? <IconFolder size={18} stroke={1.7} /> : <IconBook size={18} stroke={1.7} />
            }
          >
            {members.map(link)}
          </NavLink>
        ),
      )}
    </Stack>
  )
}

/** Which project one works in; those that one belongs to. */
function ProjectMenu() {
  const { data: session } = useQuery(sessionQuery)
  const may = useMay()
  const [isMaking, making] = useDisclosure(false)
  if (session === undefined || session === null) return null
  const { project, projects } = session
  const others = projects.filter(({ id }) => id !== project.id)
  if (others.length === 0 && !may("admin")) {
    return (
      <Text size="sm" c="dimmed" visibleFrom="xs" truncate maw={220}>
        {project.name}
      </Text>
    )
  }
  const enter = async (id: string): Promise<void> => {
    await waybill.PUT("/v1/session/project", { body: { project: id } })
    // Whatever is open shows another project: it begins anew.
    window.location.assign("/")
  }
  return (
    <>
      <Menu>
        <Menu.Target>
          <UnstyledButton aria-label={`Project ${project.name}: change`}>
            <Group gap={4} wrap="nowrap">
              <Text size="sm" truncate maw={{ base: 96, sm: 180 }}>
                {project.name}
              </Text>
              <IconChevronDown size={14} aria-hidden />
            </Group>
          </UnstyledButton>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Label>{others.length === 0 ? "Your only project" : "Your other projects"}</Menu.Label>
          {others.map(({ id, name, role }) => (
            <Menu.Item key={id} onClick={() => void enter(id)} rightSection={<Text size="xs">{role}</Text>}>
              {name}
            </Menu.Item>
          ))}
          {may("admin") && (
            <>
              <Menu.Divider />
              <Menu.Item leftSection={<IconPlus size={16} />} onClick={making.open}>
                Make a further project
              </Menu.Item>
            </>
          )}
        </Menu.Dropdown>
      </Menu>
      <Suspense fallback={null}>{isMaking && <NewProject close={making.close} enter={enter} />}</Suspense>
    </>
  )
}

/** Finds whatever an id names, from any page. */
function FindAnywhere() {
  const may = useMay()
  const here = useRouterState({ select: state => state.location.href })
  // What is found is another page: then the box has done its work.
  const [openedAt, setOpenedAt] = useState<string>()
  const isOpen = openedAt === here
  const open = () => setOpenedAt(here)
  const close = () => setOpenedAt(undefined)
  useHotkeys([["mod+K", open]])
  if (!may("events:read")) return null
  return (
    <>
      <Tooltip label="Find by any id (Ctrl or ⌘ and K)">
        <ActionIcon variant="subtle" color="gray" size="lg" onClick={open} aria-label="Find by any id">
          <IconSearch size={18} stroke={1.7} />
        </ActionIcon>
      </Tooltip>
      <Modal opened={isOpen} onClose={close} title="Find by any id" size="lg">
        <Suspense fallback={null}>{isOpen && <Find />}</Suspense>
      </Modal>
    </>
  )
}

/** Whether Waybill itself is well, so that nobody looks for a fault of its own at an endpoint. */
function OwnState() {
  const { data, error } = useQuery({
    queryKey: ["status"],
    queryFn: () => given(waybill.GET("/v1/status")),
    refetchInterval: 15_000,
  })
  if (error === null && data === undefined) return null
  const trouble =
    error !== null ? "Waybill does not answer" : data?.healthy === true ? undefined : "Waybill is in trouble"
  return (
    <UnstyledButton component={Link} to="/status" aria-label={`${trouble ?? "Waybill is healthy"}: see its status`}>
      <Group gap={6} wrap="nowrap" role="status">
        {trouble === undefined ? (
          <>
            <IconHeartbeat size={18} stroke={1.6} aria-hidden />
            <Text size="sm" visibleFrom="md">
              Waybill is healthy
            </Text>
          </>
        ) : (
          <>
            <Box component="span" visibleFrom="sm" aria-hidden>
              <ColourBadge colour="red" word={trouble} />
            </Box>
            {/* There is no room for words beside the menus. */}
            <Box component="span" hiddenFrom="sm" aria-hidden>
              <ColourBadge colour="red" word="" />
            </Box>
            <VisuallyHidden>{trouble}</VisuallyHidden>
          </>
        )}
      </Group>
    </UnstyledButton>
  )
}

function SchemeMenu() {
  const { colorScheme, setColorScheme } = useMantineColorScheme()
  const schemes = [
    { value: "auto", label: "As the system", icon: IconDeviceDesktop },
    { value: "light", label: "Light", icon: IconSun },
    { value: "dark", label: "Dark", icon: IconMoon },
  ] as const
  const Icon = schemes.find(({ value }) => value === colorScheme)?.icon ?? IconSun
  return (
    <Menu>
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" size="lg" aria-label="Light or dark">
          <Icon size={18} stroke={1.7} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        {schemes.map(({ value, label, icon: Each }) => (
          <Menu.Item
            key={value}
            leftSection={<Each size={16} />}
            aria-current={value === colorScheme}
            onClick={() => setColorScheme(value)}
          >
            {label}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  )
}

function PersonMenu() {
  const { data: session } = useQuery(sessionQuery)
  const navigate = useNavigate()
  if (session === undefined || session === null) return null
  const signOut = async (): Promise<void> => {
    await waybill.DELETE("/v1/session")
    await forgetEverything()
    await navigate({ to: "/sign-in" })
  }
  return (
    <Menu>
      <Menu.Target>
        <UnstyledButton aria-label={`${session.person.name}: account and sign-out`}>
          <Group gap={4} wrap="nowrap">
            <IconUser size={18} stroke={1.7} aria-hidden />
            <Text size="sm" visibleFrom="sm">
              {session.person.name}
            </Text>
            <IconChevronDown size={14} aria-hidden />
          </Group>
        </UnstyledButton>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>
          {session.person.email}, {session.project.role}
        </Menu.Label>
        <Menu.Item leftSection={<IconUser size={16} />} component={Link} to="/account">
          Your account
        </Menu.Item>
        <Menu.Item leftSection={<IconLogout2 size={16} />} onClick={() => void signOut()}>
          Sign out
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  )
}
