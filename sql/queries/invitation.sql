-- name: create_invitation :exec
-- Record that a user was created for an invitation that is valid for `lifetime` seconds
INSERT INTO invitations (user_id, expires_at) VALUES (:user_id, now() + make_interval(secs => :lifetime));

-- name: delete_claimed_invitations :many
-- Forget some of the expired invitations whose users have a password, a login, a server, or a key
DELETE FROM invitations
WHERE
  invitations.user_id IN (
    SELECT expired.user_id FROM invitations AS expired
    WHERE expired.expires_at < now() AND NOT is_unclaimed(expired.user_id)
    LIMIT :most
    FOR UPDATE SKIP LOCKED
  )
RETURNING invitations.user_id;

-- name: delete_unclaimed_user :one
-- Delete a user that has been locked, if nothing was done with the account in the meantime
DELETE FROM users WHERE users.id = :id AND is_unclaimed(users.id) RETURNING users.id;

-- name: is_only_invited :value
-- Whether a user was created for an invitation, and has done nothing with the account
SELECT EXISTS(
  SELECT FROM invitations WHERE invitations.user_id = :user_id AND is_unclaimed(invitations.user_id)
);

-- name: lock_unclaimed_user :one User
-- A user whose invitation has expired, and who has done nothing with the account, locked until the transaction ends
SELECT users.* FROM invitations
INNER JOIN users ON invitations.user_id = users.id
WHERE invitations.expires_at < now() AND is_unclaimed(users.id)
ORDER BY invitations.expires_at
LIMIT 1
FOR UPDATE OF users SKIP LOCKED;

-- name: update_invitation :one
-- Extend the invitation of a user that has no password yet; no row for any other user
UPDATE invitations SET expires_at = now() + make_interval(secs => :lifetime)
WHERE invitations.user_id = :user_id AND is_unclaimed(invitations.user_id)
RETURNING invitations.user_id;
