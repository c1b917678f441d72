-- All events up to this one stand in the tallies. Until now each was counted as it was accepted.
create table tally_marker (
  id integer not null primary key check (id = 1),
  event_id integer not null
) strict;
insert into tally_marker (id, event_id)
select 1, coalesce(max((select max(e.id) from event e where e.project_id = p.id)), 0) from project p;
