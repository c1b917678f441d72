-- Partitions are made ahead of the day that needs them.
-- breaks: 3

-- The first id of a day (days since 1970): see domain/id.ts.
create function first_id_of_day_1(day bigint) returns bigint language sql immutable as $$
  select greatest(0, day * 86400000 - 1704067200000) * 4096
$$;

-- Makes the partitions of a day where there are none; a table is filled before it is attached, so that no one waits.
create function make_day_1(day bigint) returns void language plpgsql as $$
declare
  parent text;
  key text;
  part text;
  lower_id bigint := first_id_of_day_1(day);
  upper_id bigint := first_id_of_day_1(day + 1);
begin
  if to_regclass('search_entry_' || day) is not null or upper_id = 0 then
    return;
  end if;
  perform pg_advisory_xact_lock(8741, 1);
  -- Not to_regclass, which goes on knowing what it has found before the lock came.
  if exists (select 1 from pg_class c where c.relname = 'search_entry_' || day) then
    return;
  end if;
  foreach parent in array array['event', 'delivery', 'attempt'] loop
    part := parent || '_' || day;
    key := case parent when 'delivery' then 'event_id' else 'id' end;
    execute format('create table %I (like %I including all)', part, parent);
    -- Counts and states change in place as long as there is room on the page.
    if parent <> 'attempt' then
      execute format('alter table %I set (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05)', part);
    end if;
    execute format('alter table %I add constraint day check (%I >= %s and %I < %s)', part, key, lower_id, key, upper_id);
    execute format('alter table %I attach partition %I for values from (%s) to (%s)', parent, part, lower_id, upper_id);
    execute format('alter table %I drop constraint day', part);
  end loop;
  execute format('create table %I (like search_entry including all)', 'search_entry_' || day);
  execute format('alter table search_entry attach partition %I for values in (%s)', 'search_entry_' || day, day);
  insert into search_segment (id, entries, indexed_up_to) values (day, 0, upper_id - 1) on conflict do nothing;
end
$$;

-- Makes the partitions of a part where there are none. What it holds has expired at `expires`.
create function make_part_1(part bigint, days bigint, opened bigint, expires bigint) returns void language plpgsql as $$
declare
  parent text;
begin
  if to_regclass('exchange_' || part) is not null then
    return;
  end if;
  perform pg_advisory_xact_lock(8741, 2);
  if exists (select 1 from pg_class c where c.relname = 'exchange_' || part) then
    return;
  end if;
  foreach parent in array array['payload', 'exchange'] loop
    execute format('create table %I (like %I including all)', parent || '_' || part, parent);
    -- Rows that are put into the partition by its own name belong to it.
    execute format('alter table %I alter column part set default %s', parent || '_' || part, part);
    execute format('alter table %I attach partition %I for values in (%s)', parent, parent || '_' || part, part);
  end loop;
  insert into part (id, retention_days, opened_at, expires_at) values (part, days, opened, expires) on conflict do nothing;
end
$$;

-- Drops a part with all that is still in it.
create function drop_part_1(part bigint) returns void language plpgsql as $$
begin
  execute format('drop table if exists %I, %I', 'payload_' || part, 'exchange_' || part);
  delete from part p where p.id = drop_part_1.part;
end
$$;

-- Rows that are written again and again, in place: they need room on their page, or each write is a new row in every index.
-- Counts by the hour get one for each commit that settles; as a rule nothing is vacuumed before a fifth of a table has changed, by which
-- time the few rows of this hour have thousands of dead versions behind them.
alter table delivery_tally set (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
alter table ingest_tally set (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
alter table recovery_tally set (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
alter table tally_marker set (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);
-- A few rows, each written every few seconds by each process.
alter table node set (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);
alter table lane set (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);
alter table job set (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
alter table recovery_lane set (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
-- Filled and emptied from the other end; what is gone would be walked past at each sweep.
alter table idempotency set (autovacuum_vacuum_scale_factor = 0.02);
alter table own_id set (autovacuum_vacuum_scale_factor = 0.02);

-- Fails waiting deliveries whose payload's time was over at `before`: those of `held` 'pause' where their integration is
-- paused, of 'block' where they stand behind one that blocks their line. One row for each that has failed.
create function fail_waiting_1(at bigint, f_lane bigint[], f_event bigint[], before bigint, held text)
returns table (
  lane bigint, project bigint, ordering_key text, recovery bigint, app_id bigint, environment text, type text, test bigint
) language plpgsql volatile
set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  oldest bigint;
  newest bigint;
begin
  select min(f.event), max(f.event) into oldest, newest from unnest(f_event) f (event);
  return query
    with old as materialized (
      select d.integration_id, d.event_id, d.project_id, d.status, d.ordering_key, d.recovery_id, e.payload_expires_at,
        e.app_id, e.environment, e.type, e.test
      from unnest(f_lane, f_event) f (lane, event)
        join delivery d on d.integration_id = f.lane and d.event_id = f.event and d.event_id between oldest and newest
        join event e on e.project_id = d.project_id and e.id = d.event_id and e.id between oldest and newest
      where d.next_at is not null and e.payload_expires_at <= before
        and (held <> 'pause' or exists (select 1 from integration i where i.id = f.lane and i.paused = 1))
        and (held <> 'block' or (d.queue = 1 and exists (
          select 1 from delivery b
          where b.integration_id = d.integration_id and b.ordering_key = d.ordering_key and b.status = 'failed'
            and b.queue = 1)))
      order by d.event_id
      for update of d
    ), failed as (
      update delivery d set
        status = 'failed', reason = 'payload_expired', facts = '{"expired_at":' || old.payload_expires_at || '}',
        next_at = null, queue = 0, updated_at = at
      from old
      where d.integration_id = old.integration_id and d.event_id = old.event_id and d.event_id between oldest and newest
    ), counted as (
      update event e set
        n_open = e.n_open - c.pending, n_retrying = e.n_retrying - (c.n - c.pending), n_failed = e.n_failed + c.n
      from (
        select old.project_id, old.event_id, count(*) as n, count(*) filter (where old.status = 'pending') as pending
        from old group by 1, 2
      ) c
      where e.project_id = c.project_id and e.id = c.event_id and e.id between oldest and newest
    )
    select old.integration_id, old.project_id, old.ordering_key, old.recovery_id, old.app_id, old.environment, old.type,
      old.test
    from old;
end
$$;
