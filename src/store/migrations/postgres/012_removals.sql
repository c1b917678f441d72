-- A project that is being removed: from then on nobody reaches it, and a job takes all of it away.
-- breaks: nothing

alter table project add column removed_at bigint;
-- What people ask for of a project's jobs, such as the erasure of a person.
create index job_by_kind on job (kind, project_id, id);
