-- name: actors_by_hash :many
-- The users and roles behind sessions and API keys, by the hash of the token, and why the credential is not valid now
SELECT
  session_tokens.hash AS key,
  users.id AS user_id,
  users.role_id,
  roles.permissions AS role_permissions,
  sessions.id AS session_id,
  CAST(NULL AS uuid) AS api_key_id,
  CAST(NULL AS text[]) AS scope,
  CAST(NULL AS cidr[]) AS allowed_ips,
  CAST(NULL AS timestamptz) AS expires_at,
  FALSE AS retiring,
  NOT is_live(sessions.ended_at, sessions.expires_at, sessions.idle_expires_at) AS expired,
  is_suspended(users.suspended_at, users.suspended_until) AS suspended,
  is_stale(
    sessions.last_seen_at, least(interval '1 minute', (sessions.idle_expires_at - sessions.last_seen_at) / 4)
  ) AS stale
FROM session_tokens
INNER JOIN sessions ON session_tokens.session_id = sessions.id
INNER JOIN users ON sessions.user_id = users.id
INNER JOIN roles ON users.role_id = roles.id
WHERE session_tokens.hash = ANY(CAST(:keys AS bytea[]))
UNION ALL
SELECT
  api_key_secrets.hash AS key,
  users.id AS user_id,
  users.role_id,
  roles.permissions AS role_permissions,
  CAST(NULL AS uuid) AS session_id,
  api_keys.id AS api_key_id,
  api_keys.permissions AS scope,
  api_keys.allowed_ips,
  least(api_keys.expires_at, api_key_secrets.expires_at) AS expires_at,
  api_key_secrets.expires_at IS NOT NULL AS retiring,
  NOT in_force(least(api_keys.expires_at, api_key_secrets.expires_at)) AS expired,
  is_suspended(users.suspended_at, users.suspended_until) AS suspended,
  is_stale(api_keys.last_used_at, interval '1 minute') AS stale
FROM api_key_secrets
INNER JOIN api_keys ON api_key_secrets.api_key_id = api_keys.id
INNER JOIN users ON api_keys.user_id = users.id
INNER JOIN roles ON users.role_id = roles.id
WHERE api_key_secrets.hash = ANY(CAST(:keys AS bytea[]));
