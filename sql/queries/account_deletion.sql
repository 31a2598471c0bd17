-- name: apply_erasure :value
-- Erase the personal data of a deleted user from at most `most` audit events; the number of events it has looked at
SELECT erase_audit_events(:user_id, :most);

-- name: clear_deletion :one User
-- Undo the deletion of an account; no row if none is scheduled
UPDATE users SET deletion_scheduled_at = NULL
WHERE users.id = :id AND users.deletion_scheduled_at IS NOT NULL
RETURNING users.*;

-- name: create_retired_username :exec
-- Keep people from choosing a username for a number of days
INSERT INTO retired_usernames (hash, expires_at) VALUES (:hash, now() + make_interval(days => :days))
ON CONFLICT (hash) DO UPDATE SET expires_at = excluded.expires_at;

-- name: delete_expired_retired_usernames :many
-- Delete some of the hashes of usernames that are free again
DELETE FROM retired_usernames
WHERE
  retired_usernames.hash IN (
    SELECT expired.hash FROM retired_usernames AS expired
    WHERE expired.expires_at <= now()
    LIMIT :most
    FOR UPDATE SKIP LOCKED
  )
RETURNING retired_usernames.hash;

-- name: delete_leaving_user :one
-- Delete a user, who is locked, if the deletion is still scheduled and the time to undo it is over
DELETE FROM users WHERE users.id = :id AND users.deletion_scheduled_at <= now() RETURNING users.id;

-- name: is_retired_username :value
-- Whether a username, given by its hashes, was that of a user who was deleted a short time ago
SELECT count(*) > 0 FROM retired_usernames
WHERE retired_usernames.hash = ANY(CAST(:keys AS bytea[])) AND retired_usernames.expires_at > now();

-- name: lock_erasure :one
-- A deleted user whose personal data must be erased from the audit log: at once, or after a number of days
SELECT erasures.user_id FROM erasures
WHERE erasures.due OR erasures.deleted_at <= now() - make_interval(days => :days)
ORDER BY erasures.deleted_at
LIMIT 1
FOR UPDATE SKIP LOCKED;

-- name: lock_leaving_user :one User
-- A user without servers, and not suspended, whose time to undo the deletion is over, locked until the transaction ends
SELECT users.* FROM users
WHERE
  users.deletion_scheduled_at <= now()
  AND NOT is_suspended(users.suspended_at, users.suspended_until)
  AND NOT users.id = ANY(CAST(:skipped AS uuid[]))
  AND NOT EXISTS (SELECT FROM servers WHERE servers.owner_id = users.id)
ORDER BY users.deletion_scheduled_at
LIMIT 1
FOR UPDATE OF users SKIP LOCKED;

-- name: set_deletion :one User
-- Schedule the deletion of an account after a number of days
UPDATE users SET deletion_scheduled_at = now() + make_interval(days => :days) WHERE users.id = :id RETURNING users.*;
