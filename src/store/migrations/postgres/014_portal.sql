-- The portal: what it looks like and who may frame it, as JSON; and its tokens, which are API keys of the kind `portal`.
-- breaks: nothing

alter table project add column portal text not null default '{}';
create index api_key_by_kind on api_key (project_id, kind, id);
create index api_key_portal_by_end on api_key (expires_at) where kind = 'portal';

-- A portal's token that is made or cleared away is no configuration: no process remembers one that was not there, and there
-- may be many a second. One that is revoked is.
drop trigger note_configuration on api_key;
create constraint trigger note_configuration
after update of name, hash, scopes, expires_at, revoked_at, max_requests_per_minute on api_key
deferrable initially deferred for each row execute function note_configuration_1('key', 'id');
create constraint trigger note_configuration_new after insert on api_key
deferrable initially deferred for each row when (new.kind <> 'portal') execute function note_configuration_1('key', 'id');
create constraint trigger note_configuration_gone after delete on api_key
deferrable initially deferred for each row when (old.kind <> 'portal') execute function note_configuration_1('key', 'id');
