/** The part of a project's settings that its portal is made of: the owner's name and colour, and who may hold it in a frame. */
import { Box, Card, ColorInput, Stack, TagsInput, Text, TextInput, Title } from "@mantine/core"
import { textOn } from "../portal-colour.ts"

/** What a form gives a field: its value, what is wrong with it, and what hears of a change. */
type Field = (name: string) => object

export function PortalSettings({
  name,
  color,
  field,
}: {
  /** As they are typed just now; the project's name stands where none is. */
  readonly name: string
  readonly color: string
  readonly field: Field
}) {
  const isColour = /^#[0-9a-f]{6}$/i.test(color)
  return (
    <Card withBorder>
      <Stack>
        <Title order={2} size="h4">
          The portal
        </Title>
        <Text size="sm" c="dimmed">
          Your customers see their own events and integrations in a frame of your site, by a token that your server asks
          for (POST /v1/portal-tokens).
        </Text>
        <TextInput
          label="Name at its top"
          description="Your own, as your customers know it. Left empty: the name of this project."
          maxLength={60}
          {...field("portal.name")}
        />
        <ColorInput
          label="Colour"
          description="As #rrggbb. Text on it is black or white, whichever is easier to read. Left empty: Waybill's own."
          placeholder="#0b5fff"
          format="hex"
          eyeDropperButtonProps={{ "aria-label": "Take a colour from the screen" }}
          {...field("portal.color")}
        />
        {isColour && (
          <Box px="md" py="sm" bdrs="md" style={{ backgroundColor: color, color: textOn(color) }}>
            <Text fw={700} className="wrap-anywhere">
              {name}
            </Text>
          </Box>
        )}
        <TagsInput
          label="Sites that may frame it"
          description="Origins such as https://app.shop.example, without a path. No other page can hold it in a frame; an empty list lets none."
          placeholder="https://app.shop.example"
          splitChars={[",", " "]}
          {...field("portal.frame_origins")}
        />
      </Stack>
    </Card>
  )
}
