-- Groups of failures, inboxes, recoveries: the same as migrations 003 to 005 of the embedded engine; and the floor of ids.
-- breaks: 2

create table failure_group (
  id bigint not null primary key,
  project_id bigint not null,
  integration_id bigint not null,
  reason text collate "C" not null,
  status bigint not null,
  message text collate "C" not null,
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
  outcome text collate "C" not null,
  reason text collate "C" not null,
  count bigint not null,
  primary key (recovery_id, integration_id, outcome, reason)
);

-- The stream shows what happened in the order of ids, up to an id that nothing can come before any more. Its last value
-- is that id's time: nobody may use an id of that time or before. A sequence, because it is read in every commit and must
-- not grow a tail of old versions while a long transaction is open somewhere.
create sequence stream_floor minvalue 0 start 0;
select setval('stream_floor', 0);

-- Begins a commit whose ids are all above `first`. First the transaction's number, then the floor: whoever raised the floor
-- before this either sees this transaction as unfinished, or is seen here. A transaction that has begun so and notes it in
-- waybill.begun goes on with greater ids whatever becomes of the floor: whoever raises it waits for it.
create function begin_1(first bigint) returns bigint language plpgsql volatile as $$
declare
  floor_id bigint;
begin
  perform pg_current_xact_id();
  select last_value into floor_id from stream_floor;
  if first <= floor_id and first <= coalesce(nullif(current_setting('waybill.begun', true), '')::bigint, first) then
    raise exception 'ids are behind %', floor_id using errcode = 'WB001';
  end if;
  return floor_id;
end
$$;

-- Raises the floor of ids; gives where it stands.
create function raise_floor_1(wanted bigint) returns bigint language plpgsql volatile as $$
declare
  floor_id bigint;
begin
  perform pg_advisory_xact_lock(8741, 3);
  select last_value into floor_id from stream_floor;
  if wanted > floor_id then
    floor_id := setval('stream_floor', wanted);
  end if;
  return floor_id;
end
$$;

-- Where the floor stands, and a transaction number greater than that of anybody who has begun below it. In this order, and in
-- a transaction of its own: the one that raises the floor has its number before the floor is raised, so that another may
-- come between the two with a greater one.
create function note_floor_1(out floor_id bigint, out noted bigint) language plpgsql volatile as $$
begin
  select last_value into floor_id from stream_floor;
  noted := pg_current_xact_id()::text::bigint;
end
$$;
