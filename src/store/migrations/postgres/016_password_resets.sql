-- Links for a new password, and who made a set-up link: the same as migration 016 of the embedded engine.
-- breaks: nothing

create table password_reset (
  hash text collate "C" not null primary key,
  person_id bigint not null,
  created_at bigint not null,
  expires_at bigint not null
);
create index password_reset_by_person on password_reset (person_id);
create index password_reset_by_end on password_reset (expires_at);

alter table setup add column by_operator bigint not null default 0 check (by_operator in (0, 1));
