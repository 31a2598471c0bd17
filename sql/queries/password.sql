-- name: lock_login :one
-- A user with a password, and its hash, both locked until the transaction ends
SELECT users.id, users.suspended_at, users.two_factor_enabled, credentials.password_hash
FROM users
INNER JOIN credentials ON users.id = credentials.user_id
WHERE users.id = :id
FOR NO KEY UPDATE;

-- name: lock_password_hash :one
-- The hash of a user's password, locked until the transaction ends
SELECT credentials.password_hash FROM credentials WHERE credentials.user_id = :user_id FOR UPDATE;

-- name: login_by_name :one
-- What a login by an email address or a username needs; the other is null. `trusted`: signed in before from the network
SELECT
  users.id,
  users.username,
  users.suspended_at,
  credentials.password_hash,
  credentials.changed_at AS password_changed_at,
  is_suspended(users.suspended_at, users.suspended_until) AS suspended,
  coalesce(
    (
      SELECT TRUE FROM sessions
      WHERE
        sessions.user_id = users.id
        AND network_subeq(sessions.ip, CAST(:network AS inet))
        AND sessions.impersonator_id IS NULL
        AND sessions.last_seen_at > now() - interval '30 days'
      LIMIT 1
    ),
    FALSE
  ) AS trusted
FROM users
LEFT JOIN credentials ON users.id = credentials.user_id
WHERE fold(users.email) = fold(:email) OR fold(users.username) = fold(:username);

-- name: passwords_by_user :many
-- When each user set the password; no row for users without one
SELECT credentials.user_id AS key, credentials.changed_at
FROM credentials
WHERE credentials.user_id = ANY(CAST(:keys AS uuid[]));

-- name: remove_password :one
-- Remove the password of a user; no row if there was none
DELETE FROM credentials WHERE credentials.user_id = :user_id RETURNING credentials.user_id;

-- name: set_password :exec
-- Set the password of a user
INSERT INTO credentials (user_id, password_hash) VALUES (:user_id, :password_hash)
ON CONFLICT (user_id) DO UPDATE SET password_hash = excluded.password_hash, changed_at = now();

-- name: user_with_password :one
-- A user with the hash of the password, and the words that a new password must not consist of
SELECT
  users.id,
  users.username,
  users.email,
  users.first_name,
  users.last_name,
  users.display_name,
  credentials.password_hash
FROM users
LEFT JOIN credentials ON users.id = credentials.user_id
WHERE users.id = :id;
