-- The portal: what it looks like and who may frame it, as JSON; and its tokens, which are API keys of the kind `portal`.
alter table project add column portal text not null default '{}';
create index api_key_by_kind on api_key (project_id, kind, id);
create index api_key_portal_by_end on api_key (expires_at) where kind = 'portal';
