-- Recoveries: jobs that send again what did not arrive (domain/recovery.ts).

create table recovery (
  id integer not null primary key,
  project_id integer not null,
  state text not null check (state in ('running', 'paused', 'done', 'canceled')),
  -- What was asked for, as JSON.
  asked text not null,
  -- Events up to this one are looked at: those that were there when it began.
  up_to integer not null,
  by_kind text not null,
  by_id text,
  created_at integer not null,
  updated_at integer not null,
  -- Set once nothing is left to do, giving back what was queued included.
  ended_at integer
) strict;
create index recovery_by_project on recovery (project_id, id);
create index recovery_open on recovery (id) where ended_at is null;
create index recovery_by_end on recovery (ended_at) where ended_at is not null;

-- How far a recovery is at each of its integrations.
create table recovery_lane (
  recovery_id integer not null,
  integration_id integer not null,
  -- Events up to this one have been looked at, and queued where they are to go.
  reached integer not null,
  is_through integer not null default 0,
  primary key (recovery_id, integration_id)
) strict, without rowid;

-- Given back by a pause: the first to be looked at when it is resumed.
create table recovery_returned (
  recovery_id integer not null,
  integration_id integer not null,
  event_id integer not null,
  primary key (recovery_id, integration_id, event_id)
) strict, without rowid;

create table recovery_tally (
  recovery_id integer not null,
  integration_id integer not null,
  outcome text not null,
  reason text not null,
  count integer not null,
  primary key (recovery_id, integration_id, outcome, reason)
) strict, without rowid;

-- What a delivery was before its recovery queued it, as JSON, so that it can be that again.
alter table delivery add column before_recovery text;
-- The recovery that an attempt was made for.
alter table attempt add column recovery_id integer;
-- What a recovery has on its way: few at a time, so that counting them and giving them back costs little.
create index delivery_recovering on delivery (recovery_id, integration_id, status, schedule_attempts)
where recovery_id is not null and status in ('pending', 'sending', 'retrying', 'skipped');
