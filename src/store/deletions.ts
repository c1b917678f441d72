/** What retention deletes where rows go one by one: statements, most of which take so many rows at the most. */
import type { IntegrationId, ProjectId } from "../domain/id.ts"
import { type Sql, sql } from "./database.ts"

/** A deletion of so many rows at most. */
export type Limited = (limit: number) => Sql

/** Idempotency keys of this age. Index idempotency_by_age. */
export function deleteIdempotency(upTo: number): Limited {
  return limit => sql`
    delete from idempotency
    where (project_id, key) in (
      select project_id, key from idempotency where created_at <= ${upTo} order by created_at limit ${limit})`
}

/** Answers that were kept for repeats. Index kept_answer_by_age. */
export function deleteKeptAnswers(upTo: number): Limited {
  return limit => sql`
    delete from kept_answer
    where (project_id, route, key) in (
      select project_id, route, key from kept_answer where created_at <= ${upTo} order by created_at limit ${limit})`
}

/** Removals and erasures that were done by then. Index job_by_kind. */
export function deleteDoneRemovals(upTo: number): Limited {
  return limit => sql`
    delete from job
    where id in (
      select id from job
      where kind in ('project_removal', 'erasure') and state = 'done' and updated_at <= ${upTo} limit ${limit})`
}

/** Sessions that have ended by themselves. Index session_by_end. */
export function deleteSessions(upTo: number): Limited {
  return limit => sql`
    delete from session
    where id in (select id from session where idle_expires_at <= ${upTo} order by idle_expires_at limit ${limit})`
}

/** Tokens of the portal whose time was over by then. Index api_key_portal_by_end. */
export function deletePortalTokens(upTo: number): Limited {
  return limit => sql`
    delete from api_key
    where id in (
      select id from api_key where kind = 'portal' and expires_at <= ${upTo} order by expires_at limit ${limit})`
}

/** Invitations whose time was over by then. Index invitation_by_end. */
export function deleteInvitations(upTo: number): Limited {
  return limit => sql`
    delete from invitation
    where id in (select id from invitation where expires_at <= ${upTo} order by expires_at limit ${limit})`
}

/** Links for a new password whose time is over. Index password_reset_by_end. */
export function deleteResets(upTo: number): Limited {
  return limit => sql`
    delete from password_reset
    where hash in (select hash from password_reset where expires_at <= ${upTo} order by expires_at limit ${limit})`
}

/** Tries to sign in that no longer count. Index sign_in_limit_by_age. */
export function deleteTries(upTo: number): Limited {
  return limit => sql`
    delete from sign_in_limit
    where subject in (select subject from sign_in_limit where since <= ${upTo} order by since limit ${limit})`
}

/** Refused requests. Here and below: ids before this one, and of this time or earlier. Primary key. */
export function deleteRejections(before: number, upTo: number): Limited {
  return limit => sql`
    delete from rejection
    where id in (select id from rejection where id < ${before} and at <= ${upTo} order by id limit ${limit})`
}

/** Requests to inboxes. Primary key. */
export function deleteInboxRequests(before: number, upTo: number): Limited {
  return limit => sql`
    delete from inbox_request
    where id in (select id from inbox_request where id < ${before} and at <= ${upTo} order by id limit ${limit})`
}

/** All requests to an inbox. Index inbox_request_by_integration. */
export function deleteInbox(id: IntegrationId): Limited {
  return limit => sql`
    delete from inbox_request
    where id in (select id from inbox_request where integration_id = ${id} order by id limit ${limit})`
}

/** Attempts. Primary key. */
export function deleteAttempts(before: number, upTo: number): Limited {
  return limit => sql`
    delete from attempt
    where id in (select id from attempt where id < ${before} and started_at <= ${upTo} order by id limit ${limit})`
}

/** Groups of failures that were seen last so long ago. Index failure_group_by_age. */
export function deleteFailures(upTo: number): Limited {
  return limit => sql`
    delete from failure_group
    where id in (select id from failure_group where last_at <= ${upTo} order by last_at limit ${limit})`
}

/** Changes of the configuration. Primary key. */
export function deleteChanges(before: number, upTo: number): Limited {
  return limit => sql`
    delete from change
    where id in (select id from change where id < ${before} and at <= ${upTo} order by id limit ${limit})`
}

/** Entries of a segment of the search index. Primary key. */
export function deleteEntries(segment: number): Limited {
  return limit => sql`
    delete from search_entry
    where (segment, project_id, field, value, event_id) in (
      select segment, project_id, field, value, event_id from search_entry
      where segment = ${segment} order by project_id, field, value, event_id limit ${limit})`
}

/** Counts of what came into a project in its oldest hour, if that is so long ago. Primary key. */
export function deleteIngestHour(project: ProjectId, hour: number): Sql {
  return sql`
    delete from ingest_tally
    where project_id = ${project}
      and hour = (select min(hour) from ingest_tally where project_id = ${project} and hour <= ${hour})`
}

/** Counts of an integration in its oldest hour, if that is so long ago. Primary key. */
export function deleteDeliveryHour(project: ProjectId, integration: IntegrationId, hour: number): Sql {
  return sql`
    delete from delivery_tally
    where project_id = ${project} and integration_id = ${integration} and hour = (
      select min(hour) from delivery_tally
      where project_id = ${project} and integration_id = ${integration} and hour <= ${hour})`
}

/** An integration's oldest revision, if the next one took its place so long ago. Primary key. */
export function deleteRevision(integration: IntegrationId, upTo: number): Sql {
  const of = sql`integration_id = ${integration}`
  return sql`
    delete from integration_revision
    where ${of} and revision = (select min(revision) from integration_revision where ${of})
      and (select at from integration_revision where ${of} order by revision limit 1 offset 1) <= ${upTo}`
}
