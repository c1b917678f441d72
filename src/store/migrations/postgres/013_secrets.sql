-- Secrets of Waybill's own, each sealed and bound to its name; and the sealing keys that each process has.
-- breaks: nothing

create table own_secret (
  name text not null primary key,
  sealed text not null
);

-- Their ids, newest first, separated by spaces; null of processes that do not say.
alter table node add column sealing_keys text;
