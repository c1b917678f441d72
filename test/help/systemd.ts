/** A unit of systemd taken apart. */

/** The values of a section's keys, in order: a key may stand there several times. */
export type Section = Readonly<Record<string, readonly string[]>>

/** What our unit may say, by section: a key that is not known to systemd is only warned of, and then has no effect. */
const known: Readonly<Record<string, readonly string[]>> = {
  Unit: ["Description", "Documentation", "Wants", "After", "StartLimitIntervalSec"],
  Service: [
    ...["Type", "User", "Group", "ExecStart", "Environment", "EnvironmentFile", "WorkingDirectory", "UMask"],
    ...["StateDirectory", "StateDirectoryMode", "Restart", "RestartSec", "RestartPreventExitStatus"],
    ...["TimeoutStopSec", "LimitNOFILE", "ReadWritePaths", "ProtectSystem", "ProtectHome", "PrivateTmp"],
    ...["PrivateDevices", "ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs", "ProtectControlGroups"],
    ...["ProtectClock", "ProtectHostname", "ProtectProc", "NoNewPrivileges", "CapabilityBoundingSet"],
    ...["AmbientCapabilities", "RestrictAddressFamilies", "RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID"],
    ...["LockPersonality", "RemoveIPC", "SystemCallArchitectures", "SystemCallFilter", "SystemCallErrorNumber"],
  ],
  Install: ["WantedBy"],
}

/** Throws at a section or a key that is not known, and at a line that is neither. */
export function readUnit(text: string): Readonly<Record<string, Section>> {
  const sections: Record<string, Record<string, string[]>> = {}
  let name = ""
  for (const [i, line] of text.split("\n").entries()) {
    if (/^\s*([#;]|$)/.test(line)) continue
    const [, heading] = /^\[(\w+)\]$/.exec(line) ?? []
    if (heading !== undefined) {
      name = heading
      sections[name] = {}
      continue
    }
    const [, key = "", value = ""] = /^(\w+)=(.*)$/.exec(line) ?? []
    if (known[name]?.includes(key) !== true) throw new Error(`Line ${i + 1}, in [${name}]: ${line} is not known`)
    const section = sections[name] ?? {}
    section[key] = [...(section[key] ?? []), value]
  }
  return sections
}

/** The variables of a file such as `EnvironmentFile=` names, and those that it only shows, behind a `#`. */
export function readVariables(text: string): {
  readonly set: Readonly<Record<string, string>>
  readonly shown: Readonly<Record<string, string>>
} {
  const linesOf = (pattern: RegExp) =>
    Object.fromEntries([...text.matchAll(pattern)].map(([, name = "", value = ""]) => [name, value]))
  return { set: linesOf(/^(\w+)=(.*)$/gm), shown: linesOf(/^#(\w+)=(.*)$/gm) }
}
