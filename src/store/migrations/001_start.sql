-- The first schema. Ids are integers of 53 bits (see domain/id.ts), times are milliseconds since 1970, JSON is text.
-- Every table that is read per tenant carries project_id first in its key.

create table meta (
  key text not null primary key,
  value text not null
) strict, without rowid;

create table project (
  id integer not null primary key,
  name text not null,
  strict_types integer not null default 0,
  strict_apps integer not null default 0,
  payload_days integer not null default 7,
  alert_emails text not null default '[]',
  created_at integer not null
) strict;

create table app (
  id integer not null primary key,
  project_id integer not null,
  name text not null,
  title text,
  created_at integer not null,
  unique (project_id, name)
) strict;

create table event_type (
  project_id integer not null,
  name text not null,
  description text,
  schema text,
  examples text not null default '[]',
  created_at integer not null,
  updated_at integer not null,
  primary key (project_id, name)
) strict, without rowid;

-- Configured sources, profiles and devices have no behaviour yet; the tables are laid so that events can point at them.
create table source (
  id integer not null primary key,
  project_id integer not null,
  kind text not null,
  name text not null,
  config text not null default '{}',
  created_at integer not null
) strict;

create table profile (
  project_id integer not null,
  id text not null,
  revision integer not null,
  attributes text not null default '{}',
  identifiers text not null default '{}',
  attribution text not null default '{}',
  opted_out integer not null default 0,
  installed_at integer,
  created_at integer not null,
  primary key (project_id, id, revision)
) strict, without rowid;

create table api_key (
  id integer not null primary key,
  project_id integer not null,
  name text not null,
  kind text not null default 'secret',
  prefix text not null,
  last4 text not null,
  hash text not null unique,
  scopes text not null,
  app_id integer,
  environment text,
  source_id integer,
  created_by text,
  created_at integer not null,
  expires_at integer,
  revoked_at integer,
  last_used_at integer,
  last_event_at integer
) strict;
create index api_key_by_project on api_key (project_id, id);

create table integration (
  id integer not null primary key,
  project_id integer not null,
  name text not null,
  connector text not null,
  revision integer not null,
  enabled integer not null,
  disabled_by text,
  disabled_reason text,
  disabled_at integer,
  paused integer not null default 0,
  -- The whole configuration without its secrets; the same text stands in integration_revision.
  snapshot text not null,
  created_at integer not null,
  updated_at integer not null,
  removed_at integer
) strict;
create index integration_by_project on integration (project_id, id) where removed_at is null;

create table integration_revision (
  integration_id integer not null,
  revision integer not null,
  at integer not null,
  by_kind text not null,
  by_id text,
  snapshot text not null,
  secrets_changed text not null default '[]',
  primary key (integration_id, revision)
) strict, without rowid;

create table integration_verification (
  integration_id integer not null,
  environment text not null,
  state text not null,
  rule text not null,
  endpoint text not null,
  checked_at integer,
  message text,
  answer text,
  primary key (integration_id, environment)
) strict, without rowid;

-- Secrets of the settings, each under the JSON pointer of its field; sealed and bound to this row.
create table integration_secret (
  integration_id integer not null,
  pointer text not null,
  sealed text not null,
  primary key (integration_id, pointer)
) strict, without rowid;

create table signing_key (
  integration_id integer not null,
  number integer not null,
  scheme text not null,
  sealed text not null,
  created_at integer not null,
  -- Set when a newer one took over: until then it signs too.
  expires_at integer,
  primary key (integration_id, number)
) strict, without rowid;

-- What holds an integration's traffic: one holder at a time, whose claims live as long as its fencing number.
create table lane (
  integration_id integer not null primary key,
  holder text,
  fence integer not null default 0,
  expires_at integer,
  protection text,
  rate text
) strict;

create table event (
  project_id integer not null,
  id integer not null,
  type text not null,
  source text not null,
  external_id text,
  environment text not null,
  app_id integer,
  profile_id text,
  profile_revision integer,
  device_id text,
  source_record text,
  ordering_key text,
  occurred_at integer not null,
  received_at integer not null,
  historical integer not null default 0,
  test integer not null default 0,
  -- The API key that brought it.
  key_id integer,
  -- Attributes of a CloudEvent that have no column, as JSON.
  cloud text,
  payload_part integer not null,
  payload_bytes integer not null,
  payload_expires_at integer not null,
  -- Integrations that it goes to, as a JSON list, and those that it does not go to by reason, as a JSON object.
  targets text not null default '[]',
  withheld text not null default '{}',
  -- How many integrations are withheld for a reason that someone has to act on.
  n_red integer not null default 0,
  n_open integer not null default 0,
  n_retrying integer not null default 0,
  n_failed integer not null default 0,
  n_delivered integer not null default 0,
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
  -- Somebody has to act; "what failed" is one indexed question.
  needs_action integer not null generated always as (case when n_failed > 0 or n_red > 0 then 1 else 0 end) stored,
  primary key (project_id, id)
) strict, without rowid;
create index event_by_need on event (project_id, id) where needs_action = 1;

-- Finds events by profile, device, source record and destination record. Entries are written in sorted batches, a few
-- moments after their event, into the segment that is open: random keys put straight into an index of everything cost
-- 22 us an event in dirtied pages, this way 4. Events above search_segment's last one are searched by scanning.
create table search_segment (
  id integer not null primary key,
  entries integer not null,
  indexed_up_to integer not null
) strict;
create table search_entry (
  segment integer not null,
  project_id integer not null,
  field integer not null,
  value text not null,
  event_id integer not null,
  primary key (segment, project_id, field, value, event_id)
) strict, without rowid;

-- Own ids of senders, unique per project and source.
create table own_id (
  project_id integer not null,
  source text not null,
  external_id text not null,
  event_id integer not null,
  fingerprint text not null,
  primary key (project_id, external_id, source)
) strict, without rowid;

create table idempotency (
  project_id integer not null,
  key text not null,
  fingerprint text not null,
  event_id integer,
  answer text,
  created_at integer not null,
  primary key (project_id, key)
) strict, without rowid;
create index idempotency_by_age on idempotency (created_at);

-- Payloads and exchanges live apart, in tables payload_<id> and exchange_<id> by day and retention class, each of
-- bounded size, so that a day's bytes go by dropping tables.
create table part (
  id integer not null primary key,
  retention_days integer not null,
  opened_at integer not null,
  -- Everything in it has expired by then.
  expires_at integer not null,
  closed integer not null default 0
) strict;

create table delivery (
  integration_id integer not null,
  event_id integer not null,
  project_id integer not null,
  status text not null check (status in ('pending', 'sending', 'delivered', 'retrying', 'failed', 'skipped', 'withheld')),
  reason text,
  facts text,
  -- When it is due; null while it is being sent and when nothing more happens by itself.
  next_at integer,
  -- The fencing number under which it is being sent.
  claim integer,
  ordering_key text,
  revision integer,
  attempts integer not null default 0,
  schedule_attempts integer not null default 0,
  charged integer not null default 0,
  last_attempt_id integer,
  record_id text,
  created_at integer not null,
  updated_at integer not null,
  primary key (integration_id, event_id),
  check ((status = 'sending') = (claim is not null)),
  check ((status in ('pending', 'retrying', 'skipped')) = (next_at is not null))
) strict, without rowid;
create index delivery_due on delivery (integration_id, next_at, event_id) where next_at is not null;
create index delivery_sending on delivery (claim) where claim is not null;
create index delivery_failed on delivery (integration_id, event_id) where status = 'failed';

create table attempt (
  id integer not null primary key,
  project_id integer not null,
  integration_id integer not null,
  event_id integer not null,
  number integer not null,
  -- The attempt before this one of the same delivery: a delivery's attempts are a chain from last_attempt_id.
  previous_id integer,
  started_at integer not null,
  outcome text not null,
  reason text,
  status integer,
  class text,
  phase text,
  code text,
  message text,
  flags integer not null default 0,
  revision integer not null,
  process text not null,
  url text,
  dns_ms real,
  connect_ms real,
  tls_ms real,
  wait_ms real,
  body_ms real,
  total_ms real,
  exchange_part integer
) strict;
create index attempt_succeeded on attempt (integration_id) where outcome = 'success';
create index attempt_failed on attempt (integration_id) where outcome <> 'success';

-- Counts by hour, kept as events pass, in the same commits. A dimension not kept from the first day cannot be had later.
create table delivery_tally (
  project_id integer not null,
  integration_id integer not null,
  hour integer not null,
  app_id integer not null,
  environment text not null,
  type text not null,
  outcome text not null,
  reason text not null,
  count integer not null,
  primary key (project_id, integration_id, hour, app_id, environment, type, outcome, reason)
) strict, without rowid;

create table ingest_tally (
  project_id integer not null,
  hour integer not null,
  source text not null,
  key_id integer not null,
  app_id integer not null,
  type text not null,
  events integer not null,
  bytes integer not null,
  refused integer not null,
  primary key (project_id, hour, source, key_id, app_id, type)
) strict, without rowid;

create table rejection (
  id integer not null primary key,
  project_id integer not null,
  key_id integer,
  at integer not null,
  status integer not null,
  code text not null,
  detail text not null,
  errors text not null,
  request text not null,
  body blob not null,
  body_bytes integer not null
) strict;
create index rejection_by_project on rejection (project_id, id);

-- Changes that people and Waybill make to the configuration, in the one order of ids: the stream shows them.
create table change (
  id integer not null primary key,
  project_id integer not null,
  at integer not null,
  kind text not null,
  subject text not null,
  by_kind text not null,
  by_id text,
  facts text not null default '{}'
) strict;
create index change_by_project on change (project_id, id);

-- Durable jobs: retention now; recovery, erasure, pulls, timers and exports later.
create table job (
  id integer not null primary key,
  project_id integer,
  kind text not null,
  key text not null unique,
  state text not null,
  due_at integer not null,
  holder text,
  fence integer not null default 0,
  lease_until integer,
  cursor text,
  progress text not null default '{}',
  report text,
  created_at integer not null,
  updated_at integer not null
) strict;
create index job_due on job (due_at) where state = 'due';

-- One row that /readyz writes, to know that writing works.
create table probe (
  id integer not null primary key,
  at integer not null
) strict;
