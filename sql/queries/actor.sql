-- name: actor_by_api_key_secret :one
-- The account behind an API key, and why the key may not be used now
SELECT
  users.id AS user_id,
  users.role_id,
  api_keys.id AS api_key_id,
  roles.permissions AS role_permissions,
  api_keys.permissions AS scope,
  api_key_secrets.expires_at IS NOT NULL AS retiring,
  api_keys.expires_at <= now() OR api_key_secrets.expires_at <= now() AS expired,
  cardinality(api_keys.allowed_ips) > 0
    AND NOT coalesce(CAST(:ip AS inet) <<= ANY (api_keys.allowed_ips), false) AS ip_refused,
  is_suspended(users.suspended_at, users.suspended_until) AS suspended,
  api_keys.last_used_at IS NULL OR api_keys.last_used_at < now() - interval '1 minute' AS stale
FROM api_key_secrets
JOIN api_keys ON api_keys.id = api_key_secrets.api_key_id
JOIN users ON users.id = api_keys.user_id
JOIN roles ON roles.id = users.role_id
WHERE api_key_secrets.hash = :hash;

-- name: actor_by_session_token :one
-- The account behind a session, and why the session does not count now
SELECT
  users.id AS user_id,
  users.role_id,
  sessions.id AS session_id,
  roles.permissions AS role_permissions,
  NOT is_live(sessions.ended_at, sessions.expires_at, sessions.last_seen_at) AS expired,
  is_suspended(users.suspended_at, users.suspended_until) AS suspended,
  sessions.last_seen_at < now() - least(interval '1 minute', session_idle() / 4) AS stale
FROM session_tokens
JOIN sessions ON sessions.id = session_tokens.session_id
JOIN users ON users.id = sessions.user_id
JOIN roles ON roles.id = users.role_id
WHERE session_tokens.hash = :hash;

-- name: login_by_email :one User
-- Who signs in by address, with the password's hash
SELECT users.*, credentials.password_hash, roles.permissions AS role_permissions,
  is_suspended(users.suspended_at, users.suspended_until) AS suspended_now
FROM users
JOIN roles ON roles.id = users.role_id
LEFT JOIN credentials ON credentials.user_id = users.id
WHERE lower(users.email) = lower(:login);

-- name: login_by_id :one User
-- Who is signed in, with the password's hash
SELECT users.*, credentials.password_hash
FROM users
LEFT JOIN credentials ON credentials.user_id = users.id
WHERE users.id = :id;

-- name: login_by_username :one User
-- Who signs in by username, with the password's hash
SELECT users.*, credentials.password_hash, roles.permissions AS role_permissions,
  is_suspended(users.suspended_at, users.suspended_until) AS suspended_now
FROM users
JOIN roles ON roles.id = users.role_id
LEFT JOIN credentials ON credentials.user_id = users.id
WHERE lower(users.username) = lower(:login);

-- name: password_hash_of_user :one
-- The password's hash, held until the transaction ends
SELECT credentials.password_hash FROM credentials WHERE credentials.user_id = :user_id FOR UPDATE;

-- name: remove_password :one
-- An account without a password; no row when it had none
DELETE FROM credentials WHERE credentials.user_id = :user_id RETURNING credentials.user_id;

-- name: set_password :exec
-- The one password of an account
INSERT INTO credentials (user_id, password_hash) VALUES (:user_id, :password_hash)
ON CONFLICT (user_id) DO UPDATE SET password_hash = excluded.password_hash, changed_at = now();
