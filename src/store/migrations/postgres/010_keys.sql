-- What a key is limited to beside app and environment: the source of its events, and requests a minute; those of a project, too.
-- breaks: nothing

alter table api_key add column source text collate "C";
alter table api_key add column max_requests_per_minute bigint;
alter table project add column max_requests_per_minute bigint;

-- Not when it was last used, which is no configuration.
drop trigger note_configuration on api_key;
create constraint trigger note_configuration
after insert or delete or update of name, hash, scopes, expires_at, revoked_at, max_requests_per_minute on api_key
deferrable initially deferred for each row execute function note_configuration_1('key', 'id');
