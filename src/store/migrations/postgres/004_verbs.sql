-- Accept, claim and settle: one round trip and one short transaction for a batch. What each does is said in ledger.ts; it is
-- the same as sqlite-accept.ts, sqlite-claim.ts and sqlite-settle.ts do row by row. A verb that is changed gets a new
-- number, so that processes of two versions can work beside each other.
--
-- The planner is told to go along the indexes: batches are small, tables are not, and what it believes of either may be old.
--
-- A plan over all days costs its start for each of them (measured over 35 days: claim 4.7 ms rather than 2.5 ms, settle 6.2 ms
-- rather than 4.9 ms). So each statement names the stretch of ids that it is about, and the days outside are left out as it begins.
-- breaks: 4

-- No delivery of an event before this id waits for its time. One look at each day, in place of one for each lane and day; none
-- at today, which is looked through anyway, and in whose index what has been claimed is walked past until it is vacuumed.
create function oldest_waiting_1() returns bigint language plpgsql stable
set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
begin
  return coalesce((
    select first_id_of_day_1(s.id) from search_segment s
      cross join lateral (
        select 1 from delivery d
        where d.event_id >= first_id_of_day_1(s.id) and d.event_id < first_id_of_day_1(s.id + 1) and d.next_at is not null
        limit 1
      ) waits
    where s.id < floor(extract(epoch from clock_timestamp()) / 86400)
    order by s.id limit 1
  ), first_id_of_day_1(floor(extract(epoch from clock_timestamp()) / 86400)::bigint));
end
$$;

-- No delivery of an event before this id stands in a line.
create function oldest_in_line_1() returns bigint language plpgsql stable
set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
begin
  return coalesce((
    select first_id_of_day_1(s.id) from search_segment s
      cross join lateral (
        select 1 from delivery d
        where d.event_id >= first_id_of_day_1(s.id) and d.event_id < first_id_of_day_1(s.id + 1) and d.in_line is not null
        limit 1
      ) stands
    where s.id < floor(extract(epoch from clock_timestamp()) / 86400)
    order by s.id limit 1
  ), first_id_of_day_1(floor(extract(epoch from clock_timestamp()) / 86400)::bigint));
end
$$;

create function accept_1(
  first bigint, at bigint, routed bigint, locks bigint[],
  a_id bigint[], a_project bigint[], a_type text[], a_source text[], a_external text[], a_environment text[],
  a_app bigint[], a_profile text[], a_device text[], a_record text[], a_key text[], a_occurred bigint[],
  a_received bigint[], a_historical bigint[], a_test bigint[], a_api_key bigint[], a_cloud text[], a_part bigint[],
  a_bytes bigint[], a_expires bigint[], a_targets text[], a_withheld text[], a_red bigint[], a_open bigint[],
  a_fingerprint text[], a_idempotency text[], a_kind text[], a_data bytea[], a_media text[],
  d_i bigint[], d_integration bigint[], d_claim bigint[], d_key text[],
  has_ids boolean
) returns table (i bigint, id bigint, same boolean, by_key boolean) language plpgsql volatile
set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  earlier bigint[] := '{}';
  wanted bigint;
  written bigint;
  late bigint;
  line_from bigint := 9007199254740991;
begin
  perform begin_1(first);
  -- Routed by a configuration that another process has changed since.
  if routed <> (select c.version from configuration c) then
    raise exception 'the configuration is %', (select c.version from configuration c) using errcode = 'WB003';
  end if;
  if cardinality(locks) > 0 then
    perform pg_advisory_xact_lock(l) from unnest(locks) l;
    line_from := oldest_in_line_1();
    -- An event of one of these keys with a greater id may have been accepted by a process whose clock is ahead.
    select max(x.event_id) into late
    from unnest(d_i, d_integration, d_key) d (i, integration, key)
      cross join lateral (
        select b.event_id from delivery b
        where b.integration_id = d.integration and b.ordering_key = d.key and b.in_line in (1, 2)
          and b.event_id >= a_id[d.i] and b.event_id >= first
        order by b.event_id desc limit 1
      ) x
    where d.key is not null;
    if late is not null then
      raise exception 'ids are behind %', late using errcode = 'WB001';
    end if;
  end if;
  if has_ids then
    return query
      select a.i, coalesce(k.event_id, o.event_id), coalesce(k.fingerprint, o.fingerprint) = coalesce(a.fingerprint, ''),
        k.event_id is not null
      from unnest(a_project, a_source, a_external, a_fingerprint, a_idempotency) with ordinality
          a (project, source, external, fingerprint, key, i)
        left join idempotency k on k.project_id = a.project and k.key = a.key
        left join own_id o on o.project_id = a.project and o.external_id = a.external and o.source = a.source
      where k.event_id is not null or o.event_id is not null;
    select coalesce(array_agg(a.i), '{}') into earlier
      from unnest(a_project, a_source, a_external, a_idempotency) with ordinality a (project, source, external, key, i)
      where exists (select 1 from idempotency k where k.project_id = a.project and k.key = a.key)
        or exists (
          select 1 from own_id o where o.project_id = a.project and o.external_id = a.external and o.source = a.source);
    select count(*) filter (where a.external is not null) + count(*) filter (where a.key is not null) into wanted
      from unnest(a_external, a_idempotency) with ordinality a (external, key, i) where a.i <> all (earlier);
    with own as (
      insert into own_id (project_id, source, external_id, event_id, fingerprint)
      select a.project, a.source, a.external, a.id, coalesce(a.fingerprint, '')
      from unnest(a_id, a_project, a_source, a_external, a_fingerprint) with ordinality
        a (id, project, source, external, fingerprint, i)
      where a.external is not null and a.i <> all (earlier)
      order by 1, 3, 2
      on conflict do nothing returning 1
    ), keys as (
      insert into idempotency (project_id, key, fingerprint, event_id, created_at)
      select a.project, a.key, coalesce(a.fingerprint, ''), a.id, at
      from unnest(a_id, a_project, a_idempotency, a_fingerprint) with ordinality a (id, project, key, fingerprint, i)
      where a.key is not null and a.i <> all (earlier)
      order by 1, 2
      on conflict do nothing returning 1
    )
    select (select count(*) from own) + (select count(*) from keys) into written;
    -- Somebody else has accepted one of them in this moment: once more, to see which.
    if written < wanted then
      raise exception 'an id was taken meanwhile' using errcode = 'WB002';
    end if;
  end if;
  insert into event (
    project_id, id, type, source, external_id, environment, app_id, profile_id, device_id, source_record, ordering_key,
    occurred_at, received_at, historical, test, key_id, cloud, payload_part, payload_bytes, payload_expires_at, targets,
    withheld, n_red, n_open)
  select a.project, a.id, a.type, a.source, a.external, a.environment, a.app, a.profile, a.device, a.record, a.key,
    a.occurred, a.received, a.historical, a.test, a.api_key, a.cloud, a.part, a.bytes, a.expires, a.targets, a.withheld,
    a.red, a.open
  from unnest(
      a_id, a_project, a_type, a_source, a_external, a_environment, a_app, a_profile, a_device, a_record, a_key,
      a_occurred, a_received, a_historical, a_test, a_api_key, a_cloud, a_part, a_bytes, a_expires, a_targets, a_withheld,
      a_red, a_open) with ordinality
    a (id, project, type, source, external, environment, app, profile, device, record, key, occurred, received,
      historical, test, api_key, cloud, part, bytes, expires, targets, withheld, red, open, i)
  where a.i <> all (earlier);
  insert into payload (part, event_id, project_id, kind, data, media_type)
  select a.part, a.id, a.project, a.kind, a.data, a.media
  from unnest(a_part, a_id, a_project, a_kind, a_data, a_media) with ordinality a (part, id, project, kind, data, media, i)
  where a.part <> 0 and a.i <> all (earlier);
  insert into delivery (
    integration_id, event_id, project_id, status, reason, next_at, claim, ordering_key, queue, created_at, updated_at)
  select d.integration, a_id[d.i], a_project[d.i],
    case when d.claim is null then 'pending' else 'sending' end,
    case when d.claim is not null then null when l.is_behind then 'waiting_turn' else 'queued' end,
    case when d.claim is null then a_received[d.i] end,
    d.claim, d.key,
    case when l.is_behind then 1 else 0 end,
    a_received[d.i], a_received[d.i]
  from (
      select d.*, row_number() over (partition by d.integration, d.key order by d.i) as place
      from unnest(d_i, d_integration, d_claim, d_key) d (i, integration, claim, key)
      where d.i <> all (earlier)
    ) d
    cross join lateral (
      select d.key is not null and (d.place > 1 or exists (
        select 1 from delivery b
        where b.integration_id = d.integration and b.ordering_key = d.key and b.in_line in (1, 2)
          and b.event_id >= line_from
      )) as is_behind
    ) l;
  insert into search_entry (segment, project_id, field, value, event_id)
  select ((a.id / 4096) + 1704067200000) / 86400000, a.project, f.field, f.value, a.id
  from unnest(a_id, a_project, a_profile, a_device, a_record) with ordinality a (id, project, profile, device, record, i)
    cross join lateral (values (1, a.profile), (2, a.device), (3, a.record)) f (field, value)
  where f.value is not null and a.i <> all (earlier)
  on conflict do nothing;
end
$$;

-- Marks the oldest due deliveries of some lanes as being sent, as far as this process holds the lanes. One row for each of
-- them with its event and payload, and one for each lane, without an event, that says when the next of it is due.
create function claim_1(
  fence bigint, at bigint, l_lane bigint[], l_queue bigint[], l_up_to bigint[], l_room bigint[]
) returns table (
  i bigint, due_at bigint, event_id bigint, was text, d_revision bigint, attempts bigint, schedule_attempts bigint,
  charged bigint, last_attempt_id bigint, created_at bigint, queue bigint, delivery_key text, recovery_id bigint,
  project_id bigint, type text, source text, external_id text, environment text, app_id bigint, app text,
  profile_id text, device_id text, source_record text, ordering_key text, occurred_at bigint, received_at bigint,
  historical bigint, test bigint, cloud text, payload_part bigint, payload_bytes bigint, payload_expires_at bigint,
  kind text, data bytea, media_type text
) language plpgsql volatile
set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  oldest bigint := oldest_waiting_1();
begin
  -- Against a takeover in this moment: whoever takes a lane over writes this row.
  perform 1 from lane l where l.integration_id = any (l_lane) and l.holder = fence order by l.integration_id for share;
  return query
    with due as materialized (
      select w.i, d.*
      from unnest(l_lane, l_queue, l_up_to, l_room) with ordinality w (lane, queue, up_to, room, i)
        cross join lateral (
          select d.integration_id, d.event_id, d.project_id, d.status, d.revision, d.attempts, d.schedule_attempts,
            d.charged, d.last_attempt_id, d.created_at, d.next_at, d.queue, d.ordering_key, d.recovery_id
          from delivery d
          where d.integration_id = w.lane and d.queue = w.queue and d.next_at <= w.up_to and d.next_at is not null
            and d.event_id >= oldest
          order by d.next_at, d.event_id
          limit w.room
          for update skip locked
        ) d
      -- Asked of each lane by itself: as a join it was made from the holder's side, each of its lanes with each of these.
      where (select l.holder from lane l where l.integration_id = w.lane) = fence
    ), taken as (
      -- All of them, as their rows are locked.
      update delivery d set status = 'sending', reason = null, next_at = null, queue = 0, claim = fence, updated_at = at
      from due where d.integration_id = due.integration_id and d.event_id = due.event_id and d.event_id >= oldest
    ), reopened as (
      -- Tried before, the event is in processing again: its status follows in the same commit.
      update event e set n_retrying = e.n_retrying - c.n, n_open = e.n_open + c.n
      from (
        select due.project_id, due.event_id, count(*) as n from due where due.status <> 'pending' group by 1, 2
      ) c
      where e.project_id = c.project_id and e.id = c.event_id and e.id >= oldest
    )
    select due.i, due.next_at, due.event_id, due.status, due.revision, due.attempts, due.schedule_attempts, due.charged,
      due.last_attempt_id, due.created_at, due.queue, due.ordering_key, due.recovery_id,
      e.project_id, e.type, e.source, e.external_id, e.environment, e.app_id,
      (select app.name from app where app.id = e.app_id), e.profile_id, e.device_id, e.source_record, e.ordering_key,
      e.occurred_at, e.received_at, e.historical, e.test, e.cloud, e.payload_part, e.payload_bytes,
      e.payload_expires_at, p.kind, p.data, p.media_type
    from due
      -- One by one. As joins the planner begins with the events where it believes that they are few, as of a new day: 1.5 s
      -- rather than 28 ms for 500.
      cross join lateral (
        select * from event e where e.project_id = due.project_id and e.id = due.event_id and e.id >= oldest limit 1
      ) e
      left join lateral (
        select p.kind, p.data, p.media_type from payload p where p.event_id = e.id and p.part = e.payload_part limit 1
      ) p on true
    order by due.i, due.next_at, due.event_id;
  return query
    select w.i, n.next_at, null::bigint, null::text, null::bigint, null::bigint, null::bigint, null::bigint, null::bigint,
      null::bigint, null::bigint, null::text, null::bigint, null::bigint, null::text, null::text, null::text, null::text,
      null::bigint, null::text, null::text, null::text, null::text, null::text, null::bigint, null::bigint, null::bigint,
      null::bigint, null::text, null::bigint, null::bigint, null::bigint, null::text, null::bytea, null::text
    from unnest(l_lane, l_queue) with ordinality w (lane, queue, i)
      cross join lateral (
        select d.next_at from delivery d
        where d.integration_id = w.lane and d.queue = w.queue and d.next_at is not null and d.event_id >= oldest
        order by d.next_at limit 1
      ) n;
end
$$;

create function settle_1(
  first bigint, at bigint,
  s_integration bigint[], s_event bigint[], s_project bigint[], s_claim bigint[], s_status text[], s_reason text[],
  s_facts text[], s_next_at bigint[], s_queue bigint[], s_revision bigint[], s_attempts bigint[], s_schedule bigint[],
  s_charged bigint[], s_last bigint[], s_record text[], s_keeps bigint[], s_count text[],
  a_id bigint[], a_i bigint[], a_number bigint[], a_previous bigint[], a_started bigint[], a_outcome text[],
  a_reason text[], a_status bigint[], a_class text[], a_phase text[], a_code text[], a_message text[], a_flags bigint[],
  a_revision bigint[], a_process text[], a_url text[], a_dns double precision[], a_connect double precision[],
  a_tls double precision[], a_wait double precision[], a_body double precision[], a_total double precision[],
  a_part bigint[], a_recovery bigint[], x_request text[], x_request_body bytea[], x_response text[],
  x_response_body bytea[],
  t_i bigint[], t_project bigint[], t_integration bigint[], t_hour bigint[], t_app bigint[], t_environment text[],
  t_type text[], t_outcome text[], t_reason text[],
  r_i bigint[], r_recovery bigint[], r_integration bigint[], r_outcome text[], r_reason text[],
  f_i bigint[], f_id bigint[], f_project bigint[], f_integration bigint[], f_reason text[], f_status bigint[],
  f_message text[], f_at bigint[], f_event bigint[], f_attempt bigint[]
) returns bigint[] language plpgsql volatile
set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  moved bigint[];
  -- By place: a list would be looked through again for each row.
  is_moved boolean[] := array_fill(false, array[cardinality(s_event)]);
  place bigint;
  oldest bigint;
  newest bigint;
begin
  perform begin_1(first);
  insert into exchange (part, attempt_id, request_headers, request_body, response_headers, response_body)
  select a.part, a.id, a.request, a.request_body, a.response, a.response_body
  from unnest(a_part, a_id, x_request, x_request_body, x_response, x_response_body)
    a (part, id, request, request_body, response, response_body)
  where a.part is not null;
  insert into attempt (
    id, project_id, integration_id, event_id, number, previous_id, started_at, outcome, reason, status, class, phase, code,
    message, flags, revision, process, url, dns_ms, connect_ms, tls_ms, wait_ms, body_ms, total_ms, exchange_part,
    recovery_id)
  select a.id, s_project[a.i], s_integration[a.i], s_event[a.i], a.number, a.previous, a.started, a.outcome, a.reason,
    a.status, a.class, a.phase, a.code, a.message, a.flags, a.revision, a.process, a.url, a.dns, a.connect, a.tls, a.wait,
    a.body, a.total, a.part, a.recovery
  from unnest(
      a_id, a_i, a_number, a_previous, a_started, a_outcome, a_reason, a_status, a_class, a_phase, a_code, a_message,
      a_flags, a_revision, a_process, a_url, a_dns, a_connect, a_tls, a_wait, a_body, a_total, a_part, a_recovery)
    a (id, i, number, previous, started, outcome, reason, status, class, phase, code, message, flags, revision, process,
      url, dns, connect, tls, wait, body, total, part, recovery);
  select min(event), max(event) into oldest, newest from unnest(s_event) s (event);
  with done as (
    update delivery d set
      status = s.status, reason = s.reason, facts = s.facts, next_at = s.next_at, queue = s.queue, claim = null,
      revision = s.revision, attempts = s.attempts, schedule_attempts = s.schedule, charged = s.charged,
      last_attempt_id = s.last, record_id = coalesce(s.record, d.record_id),
      before_recovery = case when s.keeps = 1 then d.before_recovery end, updated_at = at
    from unnest(
        s_integration, s_event, s_claim, s_status, s_reason, s_facts, s_next_at, s_queue, s_revision, s_attempts,
        s_schedule, s_charged, s_last, s_record, s_keeps) with ordinality
      s (integration, event, claim, status, reason, facts, next_at, queue, revision, attempts, schedule, charged, last,
        record, keeps, i)
    where d.integration_id = s.integration and d.event_id = s.event and d.claim = s.claim
      and d.event_id between oldest and newest
    returning s.i
  )
  select coalesce(array_agg(done.i), '{}') into moved from done;
  foreach place in array moved loop
    is_moved[place] := true;
  end loop;
  -- In the order of ids: another process may count on the same events.
  perform 1 from event e join unnest(s_project, s_event) s (project, event) on e.project_id = s.project and e.id = s.event
  where e.id between oldest and newest
  order by e.id for no key update of e;
  update event e set
    n_open = e.n_open - c.n, n_delivered = e.n_delivered + c.delivered, n_retrying = e.n_retrying + c.retrying,
    n_failed = e.n_failed + c.failed, n_red = e.n_red + c.red
  from (
    select s.project, s.event, count(*) as n, count(*) filter (where s.count = 'n_delivered') as delivered,
      count(*) filter (where s.count = 'n_retrying') as retrying, count(*) filter (where s.count = 'n_failed') as failed,
      count(*) filter (where s.count = 'n_red') as red
    from unnest(s_project, s_event, s_count) with ordinality s (project, event, count, i)
    where is_moved[s.i]
    group by 1, 2
  ) c
  where e.project_id = c.project and e.id = c.event and e.id between oldest and newest;
  insert into search_entry (segment, project_id, field, value, event_id)
  select ((s.event / 4096) + 1704067200000) / 86400000, s.project, 4, s.record, s.event
  from unnest(s_project, s_event, s_record) with ordinality s (project, event, record, i)
  where s.record is not null and is_moved[s.i]
  on conflict do nothing;
  insert into delivery_tally (project_id, integration_id, hour, app_id, environment, type, outcome, reason, count)
  select t.project, t.integration, t.hour, t.app, t.environment, t.type, t.outcome, t.reason, count(*)
  from unnest(t_i, t_project, t_integration, t_hour, t_app, t_environment, t_type, t_outcome, t_reason)
    t (i, project, integration, hour, app, environment, type, outcome, reason)
  where is_moved[t.i]
  group by 1, 2, 3, 4, 5, 6, 7, 8 order by 1, 2, 3, 4, 5, 6, 7, 8
  on conflict (project_id, integration_id, hour, app_id, environment, type, outcome, reason)
  do update set count = delivery_tally.count + excluded.count;
  if cardinality(r_i) > 0 then
    insert into recovery_tally (recovery_id, integration_id, outcome, reason, count)
    select r.recovery, r.integration, r.outcome, r.reason, count(*)
    from unnest(r_i, r_recovery, r_integration, r_outcome, r_reason) r (i, recovery, integration, outcome, reason)
    where is_moved[r.i]
    group by 1, 2, 3, 4 order by 1, 2, 3, 4
    on conflict (recovery_id, integration_id, outcome, reason) do update set count = recovery_tally.count + excluded.count;
  end if;
  if cardinality(f_i) > 0 then
    insert into failure_group (
      id, project_id, integration_id, reason, status, message, first_at, last_at, count, event_id, attempt_id)
    select min(f.id), f.project, f.integration, f.reason, f.status, f.message, min(f.at), max(f.at), count(*),
      (array_agg(f.event order by f.i desc))[1], (array_agg(f.attempt order by f.i desc))[1]
    from unnest(f_i, f_id, f_project, f_integration, f_reason, f_status, f_message, f_at, f_event, f_attempt)
      f (i, id, project, integration, reason, status, message, at, event, attempt)
    where is_moved[f.i]
    group by f.project, f.integration, f.reason, f.status, f.message order by 3, 4, 5, 6
    on conflict (integration_id, reason, status, message) do update set
      last_at = greatest(failure_group.last_at, excluded.last_at), count = failure_group.count + excluded.count,
      event_id = excluded.event_id, attempt_id = excluded.attempt_id;
    delete from failure_group g
    using (select distinct integration from unnest(f_integration) f (integration)) f
    where g.integration_id = f.integration and g.id in (
      select o.id from failure_group o where o.integration_id = f.integration
      order by o.last_at desc, o.id desc offset 200);
  end if;
  return moved;
end
$$;

-- Has the next in the line of each key take its turn, unless one is in front still. See release() in line.ts.
create function release_1(at bigint, r_integration bigint[], r_key text[], locks bigint[])
returns table (i bigint, event_id bigint) language plpgsql volatile
set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  one record;
  behind bigint;
  line_from bigint;
begin
  perform pg_advisory_xact_lock(l) from unnest(locks) l;
  line_from := oldest_in_line_1();
  for one in select * from unnest(r_integration, r_key) with ordinality r (integration, key, i) loop
    if exists (
      select 1 from delivery d
      where d.integration_id = one.integration and d.ordering_key = one.key and d.in_line = 1 and d.event_id >= line_from
    ) then
      continue;
    end if;
    select d.event_id into behind from delivery d
    where d.integration_id = one.integration and d.ordering_key = one.key and d.in_line = 2 and d.event_id >= line_from
    order by d.event_id limit 1;
    if behind is null then
      continue;
    end if;
    update delivery d set
      queue = case when d.recovery_id is null then 0 else 2 end, next_at = least(d.next_at, at), updated_at = at,
      reason = case d.reason when 'waiting_turn' then 'queued' else d.reason end
    where d.integration_id = one.integration and d.event_id = behind;
    i := one.i;
    event_id := behind;
    return next;
  end loop;
end
$$;
