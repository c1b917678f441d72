-- People: who they are, in which projects they work as what, their sessions, invitations, and how they come in.
-- Of each token its SHA-256 is kept, so that a copy of the database opens nothing.

create table person (
  id integer not null primary key,
  email text not null,
  email_key text not null unique,
  name text not null,
  password text,
  verified_at integer,
  created_at integer not null,
  disabled_at integer
) strict;

create table membership (
  project_id integer not null,
  person_id integer not null,
  role text not null check (role in ('owner', 'admin', 'developer', 'support', 'viewer')),
  created_at integer not null,
  primary key (project_id, person_id)
) strict, without rowid;
create index membership_by_person on membership (person_id);

create table session (
  id integer not null primary key,
  hash text not null unique,
  person_id integer not null,
  project_id integer not null,
  way text not null check (way in ('password', 'setup', 'invitation', 'oidc')),
  address text not null,
  agent text,
  created_at integer not null,
  seen_at integer not null,
  idle_expires_at integer not null,
  expires_at integer not null,
  check (idle_expires_at <= expires_at)
) strict;
create index session_by_person on session (person_id, id);
create index session_by_end on session (idle_expires_at);

create table invitation (
  id integer not null primary key,
  project_id integer not null,
  hash text not null unique,
  email text not null,
  email_key text not null,
  role text not null check (role in ('owner', 'admin', 'developer', 'support', 'viewer')),
  by_kind text not null,
  by_id text,
  created_at integer not null,
  expires_at integer not null,
  used_at integer,
  revoked_at integer
) strict;
create index invitation_by_project on invitation (project_id, id);
create index invitation_by_email on invitation (email_key) where used_at is null and revoked_at is null;
create index invitation_by_end on invitation (expires_at);

create table setup (
  hash text not null primary key,
  project_id integer not null,
  created_at integer not null,
  used_at integer
) strict, without rowid;

create table identity (
  issuer text not null,
  subject text not null,
  person_id integer not null,
  created_at integer not null,
  primary key (issuer, subject)
) strict, without rowid;

-- Tries to sign in: of an account and of an address, each named by a hash.
create table sign_in_limit (
  subject text not null primary key,
  tries integer not null,
  since integer not null
) strict, without rowid;
create index sign_in_limit_by_age on sign_in_limit (since);
