-- What a key is limited to beside app and environment: the source of its events, and requests a minute; those of a project, too.
alter table api_key add column source text;
alter table api_key add column max_requests_per_minute integer;
alter table project add column max_requests_per_minute integer;
