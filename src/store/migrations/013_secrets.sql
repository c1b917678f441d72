-- Secrets of Waybill's own, each sealed and bound to its name.
create table own_secret (
  name text not null primary key,
  sealed text not null
) strict, without rowid;
