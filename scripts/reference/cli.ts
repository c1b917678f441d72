/** The page of the command line, from the definitions of its commands. */
import type { Command } from "commander"
