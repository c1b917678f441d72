-- The changes are the audit log: where each came from, and what it was before and after, as JSON with its secrets masked.
alter table change add column from_address text;
alter table change add column from_agent text;
alter table change add column request text;
alter table change add column before text;
alter table change add column after text;
-- What the log is narrowed by, each newest first.
create index change_by_subject on change (project_id, subject, id);
create index change_by_actor on change (project_id, by_id, id);
create index change_by_kind on change (project_id, kind, id);

-- Answers to calls that came with an Idempotency-Key, for their repeats: sealed, since some show a secret.
create table kept_answer (
  project_id integer not null,
  route text not null,
  key text not null,
  fingerprint text not null,
  status integer not null,
  sealed text not null,
  running_until integer,
  created_at integer not null,
  primary key (project_id, route, key)
) strict, without rowid;
create index kept_answer_by_age on kept_answer (created_at);
