-- Partitions are made ahead of the day that needs them.

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
  if to_regclass('search_entry_' || day) is not null then
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
  if to_regclass('exchange_' || part) is not null then
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
