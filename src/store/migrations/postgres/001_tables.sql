-- The schema on PostgreSQL: the same tables and columns as on the embedded engine, so that every question is asked with the
-- same words. All integers are bigint (ids are integers of 53 bits, times are ms since 1970), JSON is text, booleans are 0
-- and 1. What differs: events, deliveries, attempts and search entries lie in partitions by the day that stands in their
-- ids; payloads and exchanges in partitions by day and retention class.
-- breaks: 1
--
-- What stands in a key, or is asked for by a prefix, is ordered by its bytes as on the embedded engine (collate "C"): then no
-- update of the system's locales can spoil an index.

-- Words that the embedded engine has and this one lacks, so that one text does for both.
create function instr(text, text) returns integer language sql immutable parallel safe as $$
  select strpos($1, $2)
$$;

-- The members of a JSON list of ids, and their places.
create function json_each(list text) returns table (key bigint, value bigint) language sql immutable parallel safe as $$
  select place - 1, member::bigint from json_array_elements_text(list::json) with ordinality as m (member, place)
$$;

create table meta (
  key text collate "C" not null primary key,
  value text not null
);

create table project (
  id bigint not null primary key,
  name text not null,
  strict_types bigint not null default 0,
  strict_apps bigint not null default 0,
  payload_days bigint not null default 7,
  alert_emails text not null default '[]',
  created_at bigint not null
);

create table app (
  id bigint not null primary key,
  project_id bigint not null,
  name text collate "C" not null,
  title text,
  created_at bigint not null,
  unique (project_id, name)
);

create table event_type (
  project_id bigint not null,
  name text collate "C" not null,
  description text,
  schema text,
  examples text not null default '[]',
  created_at bigint not null,
  updated_at bigint not null,
  primary key (project_id, name)
);

create table source (
  id bigint not null primary key,
  project_id bigint not null,
  kind text not null,
  name text not null,
  config text not null default '{}',
  created_at bigint not null
);

create table profile (
  project_id bigint not null,
  id text collate "C" not null,
  revision bigint not null,
  attributes text not null default '{}',
  identifiers text not null default '{}',
  attribution text not null default '{}',
  opted_out bigint not null default 0,
  installed_at bigint,
  created_at bigint not null,
  primary key (project_id, id, revision)
);

create table api_key (
  id bigint not null primary key,
  project_id bigint not null,
  name text not null,
  kind text not null default 'secret',
  prefix text not null,
  last4 text not null,
  hash text collate "C" not null unique,
  scopes text not null,
  app_id bigint,
  environment text,
  source_id bigint,
  created_by text,
  created_at bigint not null,
  expires_at bigint,
  revoked_at bigint,
  last_used_at bigint,
  last_event_at bigint
);
create index api_key_by_project on api_key (project_id, id);

create table integration (
  id bigint not null primary key,
  project_id bigint not null,
  name text not null,
  connector text not null,
  revision bigint not null,
  enabled bigint not null,
  disabled_by text,
  disabled_reason text,
  disabled_at bigint,
  paused bigint not null default 0,
  snapshot text not null,
  created_at bigint not null,
  updated_at bigint not null,
  removed_at bigint
);
create index integration_by_project on integration (project_id, id) where removed_at is null;

create table integration_revision (
  integration_id bigint not null,
  revision bigint not null,
  at bigint not null,
  by_kind text not null,
  by_id text,
  snapshot text not null,
  secrets_changed text not null default '[]',
  primary key (integration_id, revision)
);

create table integration_verification (
  integration_id bigint not null,
  environment text collate "C" not null,
  state text not null,
  rule text not null,
  endpoint text not null,
  checked_at bigint,
  message text,
  answer text,
  primary key (integration_id, environment)
);

create table integration_secret (
  integration_id bigint not null,
  pointer text collate "C" not null,
  sealed text not null,
  primary key (integration_id, pointer)
);

create table signing_key (
  integration_id bigint not null,
  number bigint not null,
  scheme text not null,
  sealed text not null,
  created_at bigint not null,
  expires_at bigint,
  primary key (integration_id, number)
);

-- Processes that share this database. One that has not been heard of for its lease holds nothing any more.
create table node (
  -- Also the fencing number of its claims: greater than that of any process before.
  id bigint not null primary key,
  name text not null,
  started_at timestamptz not null default now(),
  expires_at timestamptz not null,
  -- It is stopping in order: its lanes are the others' from now on.
  is_leaving boolean not null default false
);
create sequence node_id;

-- What holds an integration's traffic: one process at a time.
create table lane (
  integration_id bigint not null primary key,
  -- The process that sends for it, as long as it is alive.
  holder bigint,
  protection text,
  rate text,
  health text
);

create table event (
  project_id bigint not null,
  id bigint not null,
  type text collate "C" not null,
  source text not null,
  external_id text,
  environment text not null,
  app_id bigint,
  profile_id text,
  profile_revision bigint,
  device_id text,
  source_record text,
  ordering_key text,
  occurred_at bigint not null,
  received_at bigint not null,
  historical bigint not null default 0,
  test bigint not null default 0,
  key_id bigint,
  cloud text,
  payload_part bigint not null,
  payload_bytes bigint not null,
  payload_expires_at bigint not null,
  targets text not null default '[]',
  withheld text not null default '{}',
  n_red bigint not null default 0,
  n_open bigint not null default 0,
  n_retrying bigint not null default 0,
  n_failed bigint not null default 0,
  n_delivered bigint not null default 0,
  -- The same as eventStatus() in domain/event.ts.
  status text not null generated always as (
    case
      when n_failed > 0 or n_red > 0 then 'failed'
      when n_retrying > 0 then 'retrying'
      when n_open > 0 then 'processing'
      when n_delivered > 0 then 'delivered'
      else 'received'
    end
  ) stored,
  needs_action bigint not null generated always as (case when n_failed > 0 or n_red > 0 then 1 else 0 end) stored,
  primary key (project_id, id)
) partition by range (id);
create index event_by_need on event (project_id, id) where needs_action = 1;

create table search_segment (
  id bigint not null primary key,
  entries bigint not null,
  indexed_up_to bigint not null
);
create table search_entry (
  -- The day of the event, in days since 1970.
  segment bigint not null,
  project_id bigint not null,
  field bigint not null,
  value text collate "C" not null,
  event_id bigint not null,
  primary key (segment, project_id, field, value, event_id)
) partition by list (segment);

-- Not in partitions: an own id is one of its project, whatever the day.
create table own_id (
  project_id bigint not null,
  source text collate "C" not null,
  external_id text collate "C" not null,
  event_id bigint not null,
  fingerprint text not null,
  primary key (project_id, external_id, source)
);
create index own_id_by_event on own_id (event_id);

create table idempotency (
  project_id bigint not null,
  key text collate "C" not null,
  fingerprint text not null,
  event_id bigint,
  answer text,
  created_at bigint not null,
  primary key (project_id, key)
);
create index idempotency_by_age on idempotency (created_at);

-- A part is a pair of partitions, one of payload and one of exchange: its id is the day since 1970 times 1000, and the
-- retention class.
create table part (
  id bigint not null primary key,
  retention_days bigint not null,
  opened_at bigint not null,
  expires_at bigint not null,
  closed bigint not null default 0
);
create table payload (
  part bigint not null,
  event_id bigint not null,
  project_id bigint not null,
  kind text not null,
  data bytea not null,
  media_type text,
  primary key (event_id, part)
) partition by list (part);
create table exchange (
  part bigint not null,
  attempt_id bigint not null,
  request_headers text,
  request_body bytea,
  response_headers text,
  response_body bytea,
  primary key (attempt_id, part)
) partition by list (part);

create table delivery (
  integration_id bigint not null,
  event_id bigint not null,
  project_id bigint not null,
  status text not null check (status in ('pending', 'sending', 'delivered', 'retrying', 'failed', 'skipped', 'withheld')),
  reason text,
  facts text,
  next_at bigint,
  claim bigint,
  ordering_key text collate "C",
  revision bigint,
  attempts bigint not null default 0,
  schedule_attempts bigint not null default 0,
  charged bigint not null default 0,
  last_attempt_id bigint,
  record_id text,
  created_at bigint not null,
  updated_at bigint not null,
  queue bigint not null default 0,
  recovery_id bigint,
  before_recovery text,
  in_line bigint generated always as (
    case
      when ordering_key is null then null
      when claim is not null or (status = 'failed' and queue = 1) then 1
      when next_at is not null then case queue when 1 then 2 else 1 end
    end
  ) stored,
  primary key (integration_id, event_id),
  check ((status = 'sending') = (claim is not null)),
  check ((status in ('pending', 'retrying', 'skipped')) = (next_at is not null))
) partition by range (event_id);
create index delivery_due on delivery (integration_id, queue, next_at, event_id) where next_at is not null;
create index delivery_sending on delivery (claim, event_id) where claim is not null;
create index delivery_failed on delivery (integration_id, event_id) where status = 'failed';
create index delivery_in_line on delivery (integration_id, ordering_key, in_line, event_id) where in_line is not null;
create index delivery_recovered on delivery (recovery_id, event_id) where recovery_id is not null;
create index delivery_recovering on delivery (recovery_id, integration_id, status, schedule_attempts)
where recovery_id is not null and status in ('pending', 'sending', 'retrying', 'skipped');
create index delivery_blocking on delivery (integration_id, ordering_key) where status = 'failed' and queue = 1;

create table attempt (
  id bigint not null primary key,
  project_id bigint not null,
  integration_id bigint not null,
  event_id bigint not null,
  number bigint not null,
  previous_id bigint,
  started_at bigint not null,
  outcome text not null,
  reason text,
  status bigint,
  class text,
  phase text,
  code text,
  message text,
  flags bigint not null default 0,
  revision bigint not null,
  process text not null,
  url text,
  dns_ms double precision,
  connect_ms double precision,
  tls_ms double precision,
  wait_ms double precision,
  body_ms double precision,
  total_ms double precision,
  exchange_part bigint,
  recovery_id bigint
) partition by range (id);
create index attempt_succeeded on attempt (integration_id, id) where outcome = 'success';
create index attempt_failed on attempt (integration_id, id) where outcome <> 'success';

create table delivery_tally (
  project_id bigint not null,
  integration_id bigint not null,
  hour bigint not null,
  app_id bigint not null,
  environment text collate "C" not null,
  type text collate "C" not null,
  outcome text collate "C" not null,
  reason text collate "C" not null,
  count bigint not null,
  primary key (project_id, integration_id, hour, app_id, environment, type, outcome, reason)
);

-- All events up to this one stand in the tallies: see arrival-tallies.ts.
create table tally_marker (
  id bigint not null primary key check (id = 1),
  event_id bigint not null
);
insert into tally_marker (id, event_id) values (1, 0);

create table ingest_tally (
  project_id bigint not null,
  hour bigint not null,
  source text collate "C" not null,
  key_id bigint not null,
  app_id bigint not null,
  type text collate "C" not null,
  events bigint not null,
  bytes bigint not null,
  refused bigint not null,
  primary key (project_id, hour, source, key_id, app_id, type)
);

create table rejection (
  id bigint not null primary key,
  project_id bigint not null,
  key_id bigint,
  at bigint not null,
  status bigint not null,
  code text not null,
  detail text not null,
  errors text not null,
  request text not null,
  body bytea not null,
  body_bytes bigint not null
);
create index rejection_by_project on rejection (project_id, id);

create table change (
  id bigint not null primary key,
  project_id bigint not null,
  at bigint not null,
  kind text not null,
  subject text not null,
  by_kind text not null,
  by_id text,
  facts text not null default '{}'
);
create index change_by_project on change (project_id, id);

create table job (
  id bigint not null primary key,
  project_id bigint,
  kind text not null,
  key text collate "C" not null unique,
  state text not null,
  due_at bigint not null,
  holder text,
  fence bigint not null default 0,
  lease_until bigint,
  cursor text,
  progress text not null default '{}',
  report text,
  created_at bigint not null,
  updated_at bigint not null
);
create index job_due on job (due_at) where state = 'due';

create table probe (
  id bigint not null primary key,
  at bigint not null
);
