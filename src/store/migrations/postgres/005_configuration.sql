-- What one process has to learn of the others' changes. Every transaction that changes the configuration raises its version,
-- and notes what it changed under the new one. Done at the end of the transaction, whoever writes: no way to change something
-- can forget it, and the one row that all of them write is locked for no longer than the commit takes.
-- breaks: 5
-- breaks: 5

create table configuration (
  version bigint not null primary key
);
insert into configuration (version) values (1);

create table configuration_change (
  version bigint not null,
  kind text not null,
  subject bigint not null,
  primary key (version, kind, subject)
);

-- Called with what has changed, and the column that names it.
create function note_configuration_1() returns trigger language plpgsql volatile as $$
declare
  raised bigint := nullif(current_setting('waybill.configuration', true), '');
  changed jsonb;
begin
  if raised is null then
    update configuration set version = version + 1 returning version into raised;
    perform set_config('waybill.configuration', raised::text, true);
    -- Whoever is further behind reads everything.
    delete from configuration_change where version <= raised - 10000;
  end if;
  changed := case tg_op when 'DELETE' then to_jsonb(old) else to_jsonb(new) end;
  insert into configuration_change (version, kind, subject) values (raised, tg_argv[0], (changed ->> tg_argv[1])::bigint)
  on conflict do nothing;
  return null;
end
$$;

create constraint trigger note_configuration after insert or update or delete on project
deferrable initially deferred for each row execute function note_configuration_1('project', 'id');
create constraint trigger note_configuration after insert or update or delete on app
deferrable initially deferred for each row execute function note_configuration_1('app', 'id');
create constraint trigger note_configuration after insert or update or delete on event_type
deferrable initially deferred for each row execute function note_configuration_1('event_types', 'project_id');
create constraint trigger note_configuration after insert or update or delete on integration
deferrable initially deferred for each row execute function note_configuration_1('integration', 'id');
create constraint trigger note_configuration after insert or update or delete on integration_secret
deferrable initially deferred for each row execute function note_configuration_1('integration', 'integration_id');
create constraint trigger note_configuration after insert or update or delete on signing_key
deferrable initially deferred for each row execute function note_configuration_1('integration', 'integration_id');
create constraint trigger note_configuration after insert or update or delete on integration_verification
deferrable initially deferred for each row execute function note_configuration_1('integration', 'integration_id');
-- Not when it was last used, which is no configuration.
create constraint trigger note_configuration
after insert or delete or update of name, hash, scopes, expires_at, revoked_at on api_key
deferrable initially deferred for each row execute function note_configuration_1('key', 'id');
