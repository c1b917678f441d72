-- Failures that look alike, kept by the commits that hold the attempts: same integration, reason, status and message, with
-- what differs from case to case taken out of the message. At most 200 an integration.
create table failure_group (
  id integer not null primary key,
  project_id integer not null,
  integration_id integer not null,
  reason text not null,
  -- Of the answer; 0 where none came.
  status integer not null,
  message text not null,
  first_at integer not null,
  last_at integer not null,
  count integer not null,
  -- The last of them; the attempt is null where none was made.
  event_id integer not null,
  attempt_id integer,
  unique (integration_id, reason, status, message)
) strict;
create index failure_group_by_last on failure_group (integration_id, last_at, id);
create index failure_group_by_age on failure_group (last_at);
