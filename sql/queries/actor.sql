-- name: actor_by_api_key_secret :one
-- The user and role behind an API key, and why the key is not valid now
SELECT
  users.id AS user_id,
  users.role_id,
  api_keys.id AS api_key_id,
  roles.permissions AS role_permissions,
  api_keys.permissions AS scope,
  api_keys.allowed_ips,
  least(api_keys.expires_at, api_key_secrets.expires_at) AS expires_at,
  api_key_secrets.expires_at IS NOT NULL AS retiring,
  NOT in_force(least(api_keys.expires_at, api_key_secrets.expires_at)) AS expired,
  cardinality(api_keys.allowed_ips) > 0
  AND NOT EXISTS (
    SELECT FROM unnest(api_keys.allowed_ips) AS networks (network)
    WHERE network_subeq(CAST(:ip AS inet), networks.network)
  ) AS wrong_network,
  is_suspended(users.suspended_at, users.suspended_until) AS suspended,
  is_stale(api_keys.last_used_at, interval '1 minute') AS stale
FROM api_key_secrets
INNER JOIN api_keys ON api_key_secrets.api_key_id = api_keys.id
INNER JOIN users ON api_keys.user_id = users.id
INNER JOIN roles ON users.role_id = roles.id
WHERE api_key_secrets.hash = :hash;

-- name: actor_by_session_token :one
-- The user and role behind a session, and why the session is not valid now
SELECT
  users.id AS user_id,
  users.role_id,
  sessions.id AS session_id,
  roles.permissions AS role_permissions,
  NOT is_live(sessions.ended_at, sessions.expires_at, sessions.idle_expires_at) AS expired,
  is_suspended(users.suspended_at, users.suspended_until) AS suspended,
  is_stale(
    sessions.last_seen_at, least(interval '1 minute', (sessions.idle_expires_at - sessions.last_seen_at) / 4)
  ) AS stale
FROM session_tokens
INNER JOIN sessions ON session_tokens.session_id = sessions.id
INNER JOIN users ON sessions.user_id = users.id
INNER JOIN roles ON users.role_id = roles.id
WHERE session_tokens.hash = :hash;
