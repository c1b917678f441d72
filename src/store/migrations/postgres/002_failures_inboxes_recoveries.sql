-- Groups of failures, inboxes, recoveries: the same as migrations 003 to 005 of the embedded engine; and the floor of ids.

create table failure_group (
  id bigint not null primary key,
  project_id bigint not null,
  integration_id bigint not null,
  reason text not null,
  status bigint not null,
  message text not null,
  first_at bigint not null,
  last_at bigint not null,
  count bigint not null,
  event_id bigint not null,
  attempt_id bigint,
  unique (integration_id, reason, status, message)
);
create index failure_group_by_last on failure_group (integration_id, last_at, id);
create index failure_group_by_age on failure_group (last_at);

create table inbox_request (
  id bigint not null primary key,
  integration_id bigint not null,
  at bigint not null,
  method text not null,
  headers text not null,
  body bytea not null,
  body_bytes bigint not null,
  signature text not null,
  status bigint not null,
  delay_ms bigint not null,
  answer text not null check (answer in ('waiting', 'sent', 'not_sent'))
);
create index inbox_request_by_integration on inbox_request (integration_id, id);

create table inbox_script (
  integration_id bigint not null primary key,
  script text not null,
  played bigint not null
);

create table recovery (
  id bigint not null primary key,
  project_id bigint not null,
  state text not null check (state in ('running', 'paused', 'done', 'canceled')),
  asked text not null,
  up_to bigint not null,
  by_kind text not null,
  by_id text,
  created_at bigint not null,
  updated_at bigint not null,
  ended_at bigint
);
create index recovery_by_project on recovery (project_id, id);
create index recovery_open on recovery (id) where ended_at is null;
create index recovery_by_end on recovery (ended_at) where ended_at is not null;

create table recovery_lane (
  recovery_id bigint not null,
  integration_id bigint not null,
  reached bigint not null,
  is_through bigint not null default 0,
  primary key (recovery_id, integration_id)
);

create table recovery_returned (
  recovery_id bigint not null,
  integration_id bigint not null,
  event_id bigint not null,
  primary key (recovery_id, integration_id, event_id)
);

create table recovery_tally (
  recovery_id bigint not null,
  integration_id bigint not null,
  outcome text not null,
  reason text not null,
  count bigint not null,
  primary key (recovery_id, integration_id, outcome, reason)
);

-- The stream shows what happened in the order of ids, up to an id that nothing can come before any more. Its last value
-- is that id's time: nobody may use an id of that time or before. A sequence, because it is read in every commit and must
-- not grow a tail of old versions while a long transaction is open somewhere.
create sequence stream_floor minvalue 0 start 0;
select setval('stream_floor', 0);
