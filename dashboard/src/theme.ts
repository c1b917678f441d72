/** Colours, type and sizes. Every text has a contrast of at least 4.5 to 1 on its ground, in both schemes. */
import { createTheme, type MantineColorsTuple } from "@mantine/core"

/** A dark green: the colour of Waybill itself, never of a status. */
const waybill: MantineColorsTuple = [
  "#e8f6f1",
  "#d3eae2",
  "#bbe1d4",
  "#75c0a6",
  "#58b896",
  "#34a37b",
  "#249d72",
  "#148961",
  "#067a55",
  "#006a48",
]

export const theme = createTheme({
  colors: { waybill },
  primaryColor: "waybill",
  primaryShade: { light: 9, dark: 8 },
  autoContrast: true,
  defaultRadius: "md",
  fontFamily: "Inter, ui-sans-serif, system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif",
  fontFamilyMonospace: "ui-monospace, SFMono-Regular, Menlo, Consolas, 'Liberation Mono', monospace",
  headings: { fontWeight: "650" },
  respectReducedMotion: true,
  components: {
    // As large as the text that it stands in.
    Anchor: { defaultProps: { inherit: true } },
    Tooltip: { defaultProps: { withArrow: true, events: { hover: true, focus: true, touch: true } } },
    Modal: {
      // Its <header> would be a second banner of the page.
      defaultProps: { closeButtonProps: { "aria-label": "Close" }, attributes: { header: { role: "presentation" } } },
      styles: { title: { fontWeight: 650 } },
    },
    // Its placeholder for the focus is a menu item without a name.
    Menu: { defaultProps: { withInitialFocusPlaceholder: false } },
    Notification: { defaultProps: { closeButtonProps: { "aria-label": "Close" } } },
    // What scrolls has to be reached by key (axe: scrollable-region-focusable).
    TableScrollContainer: { defaultProps: { scrollAreaProps: { viewportProps: { tabIndex: 0 } } } },
    Table: { defaultProps: { verticalSpacing: "xs", highlightOnHover: true } },
  },
})
