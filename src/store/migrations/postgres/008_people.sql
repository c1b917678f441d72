-- People: the same as migration 008 of the embedded engine.
-- breaks: nothing

create table person (
  id bigint not null primary key,
  email text not null,
  email_key text collate "C" not null unique,
  name text not null,
  password text,
  verified_at bigint,
  created_at bigint not null,
  disabled_at bigint
);

create table membership (
  project_id bigint not null,
  person_id bigint not null,
  role text not null check (role in ('owner', 'admin', 'developer', 'support', 'viewer')),
  created_at bigint not null,
  primary key (project_id, person_id)
);
create index membership_by_person on membership (person_id);

create table session (
  id bigint not null primary key,
  hash text collate "C" not null unique,
  person_id bigint not null,
  project_id bigint not null,
  way text not null check (way in ('password', 'setup', 'invitation', 'oidc')),
  address text not null,
  agent text,
  created_at bigint not null,
  seen_at bigint not null,
  idle_expires_at bigint not null,
  expires_at bigint not null,
  check (idle_expires_at <= expires_at)
);
create index session_by_person on session (person_id, id);
create index session_by_end on session (idle_expires_at);

create table invitation (
  id bigint not null primary key,
  project_id bigint not null,
  hash text collate "C" not null unique,
  email text not null,
  email_key text collate "C" not null,
  role text not null check (role in ('owner', 'admin', 'developer', 'support', 'viewer')),
  by_kind text not null,
  by_id text,
  created_at bigint not null,
  expires_at bigint not null,
  used_at bigint,
  revoked_at bigint
);
create index invitation_by_project on invitation (project_id, id);
create index invitation_by_email on invitation (email_key) where used_at is null and revoked_at is null;
create index invitation_by_end on invitation (expires_at);

create table setup (
  hash text collate "C" not null primary key,
  project_id bigint not null,
  created_at bigint not null,
  used_at bigint
);

create table identity (
  issuer text collate "C" not null,
  subject text collate "C" not null,
  person_id bigint not null,
  created_at bigint not null,
  primary key (issuer, subject)
);

-- Tries to sign in: of an account and of an address, each named by a hash.
create table sign_in_limit (
  subject text collate "C" not null primary key,
  tries bigint not null,
  since bigint not null
);
create index sign_in_limit_by_age on sign_in_limit (since);
