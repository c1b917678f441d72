-- What waits in lanes that a process believes idle: another process may have put it there.
-- breaks: 6

create index lane_by_holder on lane (holder);

-- Lanes of these in which something waits for its time, or by a recovery. `due_at`: the earliest.
create function due_1(lanes bigint[]) returns table (lane bigint, due_at bigint, recovered boolean) language plpgsql stable
set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off set enable_sort = off
set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  oldest bigint := oldest_waiting_1();
begin
  return query
    select w.lane, due.next_at, others.found
    from unnest(lanes) w (lane)
      left join lateral (
        select d.next_at from delivery d
        where d.integration_id = w.lane and d.queue = 0 and d.next_at is not null and d.event_id >= oldest
        order by d.next_at limit 1
      ) due on true
      cross join lateral (
        select exists (
          select 1 from delivery d
          where d.integration_id = w.lane and d.queue = 2 and d.next_at is not null and d.event_id >= oldest
        ) as found
      ) others
    where due.next_at is not null or others.found;
end
$$;
