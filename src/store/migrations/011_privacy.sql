-- Private fields: JSON pointers into `data`, as JSON lists, of a project and of a type of event.
alter table project add column private_fields text not null default '[]';
alter table event_type add column private_fields text not null default '[]';

-- What came in with private fields, whole and sealed, for as long as a delivery of it is open; its row of a payload table
-- holds what readers see. Then the sealed text goes, and when it went stays as long as the payload would have.
create table sealed_payload (
  project_id integer not null,
  event_id integer not null,
  sealed text,
  masked_at integer,
  expires_at integer not null,
  primary key (project_id, event_id),
  check ((sealed is null) = (masked_at is not null))
) strict;
create index sealed_payload_open on sealed_payload (project_id, event_id) where sealed is not null;
create index sealed_payload_by_expiry on sealed_payload (expires_at);
