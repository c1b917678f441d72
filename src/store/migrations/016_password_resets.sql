-- Links with which people choose a new password, mailed to their address; of each token its SHA-256 is kept. 0 stands for
-- nobody: whoever asks for an address that is not known costs the same writing.
create table password_reset (
  hash text not null primary key,
  person_id integer not null,
  created_at integer not null,
  expires_at integer not null
) strict, without rowid;
create index password_reset_by_person on password_reset (person_id);
create index password_reset_by_end on password_reset (expires_at);

-- Whether whoever runs the program has made a set-up link, whose word then stands for the address of the owner. Of the links
-- of before it is not known.
alter table setup add column by_operator integer not null default 0 check (by_operator in (0, 1));
