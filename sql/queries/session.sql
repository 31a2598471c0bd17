-- name: create_session :one Session
-- Create a session for `lifetime` seconds, or `idle` seconds without use, found by a hash; record the login of its user
WITH created AS (
  INSERT INTO sessions (
    user_id, ip, user_agent, device, impersonator_id, impersonator_session_id, impersonator_api_key_id, expires_at,
    idle_expires_at
  )
  VALUES (
    :user_id, :ip, :user_agent, :device, CAST(:impersonator_id AS uuid), :impersonator_session_id,
    :impersonator_api_key_id, now() + make_interval(secs => :lifetime), now() + make_interval(secs => :idle)
  )
  RETURNING sessions.*
),

token AS (
  INSERT INTO session_tokens (hash, session_id) SELECT :hash, created.id FROM created
),

login AS (
  UPDATE users SET last_login_at = now()
  WHERE users.id = :user_id AND CAST(:impersonator_id AS uuid) IS NULL
)

SELECT created.* FROM created;

-- name: delete_dead_sessions :many
-- Delete some of the sessions that ended or expired 30 days ago
WITH expired AS (
  SELECT sessions.id FROM sessions
  WHERE sessions.expires_at < now() - interval '30 days'
  LIMIT :most
  FOR UPDATE SKIP LOCKED
),

ended AS (
  SELECT sessions.id FROM sessions
  WHERE sessions.ended_at < now() - interval '30 days'
  LIMIT :most
  FOR UPDATE SKIP LOCKED
)

DELETE FROM sessions
WHERE
  sessions.id IN (
    SELECT expired.id FROM expired
    UNION
    SELECT ended.id FROM ended
  )
RETURNING sessions.id;

-- name: end_session :one Session
-- End a session; no row if it had ended before
UPDATE sessions SET ended_at = now() WHERE sessions.id = :id AND sessions.ended_at IS NULL RETURNING sessions.*;

-- name: end_sessions_by_user :many
-- End every live session of a user, except the one to keep
UPDATE sessions
SET ended_at = now()
WHERE
  sessions.user_id = :user_id
  AND is_live(sessions.ended_at, sessions.expires_at, sessions.idle_expires_at)
  AND sessions.id IS DISTINCT FROM CAST(:keep AS uuid)
RETURNING sessions.id;

-- name: has_signed_in_from :value
-- Indicates whether a user has had a session in the last 30 days from a network
SELECT
  EXISTS(
    SELECT FROM sessions
    WHERE
      sessions.user_id = :user_id
      AND network_subeq(sessions.ip, CAST(:network AS inet))
      AND sessions.impersonator_id IS NULL
      AND sessions.last_seen_at > now() - interval '30 days'
  ) AS trusted;

-- name: lock_session :one Session
-- One live session, locked until the transaction ends
SELECT sessions.* FROM sessions
WHERE sessions.id = :id AND is_live(sessions.ended_at, sessions.expires_at, sessions.idle_expires_at)
FOR UPDATE;

-- name: record_session_use :exec
-- Record the use of a session, at most once a minute, or four times in its idle time if that is shorter
UPDATE sessions SET last_seen_at = now(), idle_expires_at = now() + make_interval(secs => :idle)
WHERE
  sessions.id = :id
  AND is_stale(
    sessions.last_seen_at, least(interval '1 minute', (sessions.idle_expires_at - sessions.last_seen_at) / 4)
  );

-- name: rotate_session_token :one Session
-- Give a live session a new token in place of its own, because its user has proved who they are
WITH token AS (
  UPDATE session_tokens SET hash = :hash WHERE session_tokens.session_id = :id
)

UPDATE sessions SET authenticated_at = now()
WHERE sessions.id = :id AND is_live(sessions.ended_at, sessions.expires_at, sessions.idle_expires_at)
RETURNING sessions.*;

-- name: sessions_by_id :many Session
-- Live sessions by id
SELECT sessions.id AS key, sessions.* FROM sessions
WHERE
  sessions.id = ANY(CAST(:keys AS uuid[]))
  AND is_live(sessions.ended_at, sessions.expires_at, sessions.idle_expires_at);

-- name: sessions_by_user :list Session
-- Live sessions of a user
SELECT sessions.* FROM sessions
WHERE
  sessions.user_id = :key
  AND is_live(sessions.ended_at, sessions.expires_at, sessions.idle_expires_at);
