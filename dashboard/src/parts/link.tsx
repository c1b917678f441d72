/** A link within the dashboard whose place, parameters and filters the compiler checks. */
import { Anchor } from "@mantine/core"
import { createLink } from "@tanstack/react-router"

export const LinkTo = createLink(Anchor<"a">)
