/**
 * Which rows of which table belong to a project: what has to go with it. A test holds the schemas of both engines against
 * these two lists, so that no table that is added can be forgotten.
 */

/** How rows of a project are found. `key`: the columns of the primary key. */
export type Belonging =
  | { readonly by: "project" | "integration" | "recovery"; readonly key: string }
  /** Rows that come with events and their deliveries: see project-removal.ts. */
  | { readonly by: "traffic" }
  /** The project itself, which goes last. */
  | { readonly by: "itself" }

/** In the order in which they go: whatever is found by way of another table before that. */
export const tablesOfProjects: Readonly<Record<string, Belonging>> = {
  attempt: { by: "traffic" },
  exchange: { by: "traffic" },
  delivery: { by: "traffic" },
  event: { by: "traffic" },
  payload: { by: "traffic" },
  sealed_payload: { by: "traffic" },
  search_entry: { by: "traffic" },
  job: { by: "project", key: "id" },
  own_id: { by: "project", key: "project_id, external_id, source" },
  idempotency: { by: "project", key: "project_id, key" },
  rejection: { by: "project", key: "id" },
  inbox_request: { by: "integration", key: "id" },
  inbox_script: { by: "integration", key: "integration_id" },
  failure_group: { by: "integration", key: "id" },
  recovery_returned: { by: "recovery", key: "recovery_id, integration_id, event_id" },
  recovery_lane: { by: "recovery", key: "recovery_id, integration_id" },
  recovery_tally: { by: "recovery", key: "recovery_id, integration_id, outcome, reason" },
  recovery: { by: "project", key: "id" },
  delivery_tally: {
    by: "project",
    key: "project_id, integration_id, hour, app_id, environment, type, outcome, reason",
  },
  ingest_tally: { by: "project", key: "project_id, hour, source, key_id, app_id, type" },
  lane: { by: "integration", key: "integration_id" },
  integration_secret: { by: "integration", key: "integration_id, pointer" },
  signing_key: { by: "integration", key: "integration_id, number" },
  integration_verification: { by: "integration", key: "integration_id, environment" },
  integration_revision: { by: "integration", key: "integration_id, revision" },
  integration: { by: "project", key: "id" },
  session: { by: "project", key: "id" },
  membership: { by: "project", key: "project_id, person_id" },
  invitation: { by: "project", key: "id" },
  setup: { by: "project", key: "hash" },
  kept_answer: { by: "project", key: "project_id, route, key" },
  api_key: { by: "project", key: "id" },
  app: { by: "project", key: "id" },
  event_type: { by: "project", key: "project_id, name" },
  source: { by: "project", key: "id" },
  profile: { by: "project", key: "project_id, id, revision" },
  change: { by: "project", key: "id" },
  project: { by: "itself" },
}

/** Tables that hold nothing of a project, and why. */
export const tablesOfNoProject: Readonly<Record<string, string>> = {
  meta: "facts of the installation",
  part: "a day and a class of retention, which projects share",
  search_segment: "a stretch of the index, which projects share",
  tally_marker: "one place for all",
  probe: "written by /readyz",
  own_secret: "secrets of the installation",
  person: "belongs to the installation, and may work in several projects",
  identity: "goes with the person",
  password_reset: "goes within the hour",
  sign_in_limit: "hashes of addresses, gone within minutes",
  node: "processes",
  configuration: "one number",
  configuration_change: "tells other processes what to read again; the newest 10,000 are kept, by their number alone",
  migration: "what has been migrated",
}
