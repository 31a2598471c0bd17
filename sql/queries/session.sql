-- name: count_sessions_by_user :many
-- How many live sessions each user has
SELECT sessions.user_id AS key, count(*) AS count
FROM sessions
WHERE sessions.user_id = ANY (CAST(:keys AS uuid[])) AND is_live(sessions.ended_at, sessions.expires_at, sessions.last_seen_at)
GROUP BY sessions.user_id;

-- name: create_session :one Session
-- A new session that ends at the latest after `lifetime` seconds
INSERT INTO sessions (user_id, ip, user_agent, expires_at)
VALUES (:user_id, :ip, :user_agent, now() + make_interval(secs => :lifetime))
RETURNING sessions.*;

-- name: create_session_token :exec
-- The hash by which the session's token is found
INSERT INTO session_tokens (hash, session_id) VALUES (:hash, :session_id);

-- name: delete_dead_sessions :exec
-- Some of the sessions that ended or ran out so long ago that nobody asks about them any more
DELETE FROM sessions
WHERE sessions.id IN (
  (SELECT id FROM sessions WHERE expires_at < now() - interval '30 days' LIMIT 5000)
  UNION
  (SELECT id FROM sessions WHERE ended_at < now() - interval '30 days' LIMIT 5000)
);

-- name: end_session :one Session
-- Ended for good; no row when it had ended before
UPDATE sessions SET ended_at = now() WHERE sessions.id = :id AND sessions.ended_at IS NULL RETURNING sessions.*;

-- name: end_sessions_by_user :many
-- Every live session of the user ends, but for the one to keep
UPDATE sessions
SET ended_at = now()
WHERE sessions.user_id = :user_id
  AND is_live(sessions.ended_at, sessions.expires_at, sessions.last_seen_at)
  AND sessions.id IS DISTINCT FROM CAST(:keep AS uuid)
RETURNING sessions.id;

-- name: lock_session :one Session
-- One live session, held until the transaction ends
SELECT sessions.* FROM sessions
WHERE sessions.id = :id AND is_live(sessions.ended_at, sessions.expires_at, sessions.last_seen_at)
FOR UPDATE;

-- name: record_login :one User
-- The account was just signed in to
UPDATE users SET last_login_at = now() WHERE users.id = :id RETURNING users.*;

-- name: sessions_by_id :many Session
-- Live sessions by id
SELECT sessions.id AS key, sessions.* FROM sessions
WHERE sessions.id = ANY (CAST(:keys AS uuid[])) AND is_live(sessions.ended_at, sessions.expires_at, sessions.last_seen_at);

-- name: sessions_by_user :many Session
-- Live sessions of each user, newest first
SELECT keys.key, page.*
FROM unnest(CAST(:keys AS uuid[])) AS keys (key)
CROSS JOIN LATERAL (
  SELECT sessions.* FROM sessions
  WHERE sessions.user_id = keys.key
    AND is_live(sessions.ended_at, sessions.expires_at, sessions.last_seen_at)
    AND (CAST(:low AS uuid) IS NULL OR sessions.id > CAST(:low AS uuid))
    AND (CAST(:high AS uuid) IS NULL OR sessions.id < CAST(:high AS uuid))
  ORDER BY CASE WHEN CAST(:ascending AS boolean) THEN sessions.id END, sessions.id DESC
  LIMIT :limit
) AS page;

-- name: touch_session :exec
-- Seen now; written at most once a minute, or four times in the idle time where that is shorter
UPDATE sessions SET last_seen_at = now()
WHERE sessions.id = :id
  AND sessions.last_seen_at < now() - least(interval '1 minute', session_idle() / 4);
