-- Inboxes: receivers inside Waybill. What each got, and how far each is in its script.

create table inbox_request (
  id integer not null primary key,
  integration_id integer not null,
  at integer not null,
  method text not null,
  -- [[name, value], …] as they came; null in place of a value that is secret.
  headers text not null,
  -- The beginning of the body, and how long it was in all.
  body blob not null,
  body_bytes integer not null,
  -- What the check of its signature found, as JSON.
  signature text not null,
  status integer not null,
  delay_ms integer not null,
  answer text not null check (answer in ('waiting', 'sent', 'not_sent'))
) strict;
create index inbox_request_by_integration on inbox_request (integration_id, id);

create table inbox_script (
  integration_id integer not null primary key,
  -- The script that is being played, and how many of its answers were given. Another script begins anew.
  script text not null,
  played integer not null
) strict;
