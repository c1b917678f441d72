-- Deliveries wait in queues of their lane; what keeps a lane's state; order by ordering key.

-- Which of its lane's queues a waiting delivery stands in (domain/queue.ts): 0 due by its time alone, 1 behind another of
-- its ordering key, 2 to be recovered, above that held while the origin of its endpoint rests. Each queue is a stretch of
-- the index: to let a million go again costs nothing but to look there.
alter table delivery add column queue integer not null default 0;
-- The recovery that made it due again.
alter table delivery add column recovery_id integer;
-- Its place in the line of its ordering key: 1 in front (on its way, or failed and blocking those behind it), 2 behind.
alter table delivery add column in_line integer generated always as (
  case
    when ordering_key is null then null
    when claim is not null or (status = 'failed' and queue = 1) then 1
    when next_at is not null then case queue when 1 then 2 else 1 end
  end
) virtual;

drop index delivery_due;
create index delivery_due on delivery (integration_id, queue, next_at, event_id) where next_at is not null;
create index delivery_in_line on delivery (integration_id, ordering_key, in_line, event_id) where in_line is not null;
create index delivery_recovered on delivery (recovery_id, event_id) where recovery_id is not null;

-- What a lane has come to know of its endpoint and keeps over a restart, beside protection and rate: since when nothing
-- got through, when its owner was warned. JSON.
alter table lane add column health text;
