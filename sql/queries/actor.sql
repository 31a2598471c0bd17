-- name: actor_by_hash :one
-- The user and role behind a session or an API key, by the hash of the token, and why the credential is not valid now
SELECT
  actors.actor_user_id,
  actors.actor_role_id,
  actors.actor_permissions,
  actors.actor_session_id,
  actors.actor_api_key_id,
  actors.actor_scope,
  actors.actor_allowed_ips,
  actors.actor_expires_at,
  actors.actor_retiring,
  actors.actor_expired,
  actors.actor_suspended,
  actors.actor_authenticated_at,
  actors.actor_impersonator_id,
  actors.actor_two_factor_missing,
  actors.actor_impersonation,
  actors.actor_leaving
FROM actors
WHERE actors.actor_token_hash = :token_hash;

-- name: actors_by_hash :many
-- The users and roles behind sessions and API keys, by the hash of the token, and whether their use should be recorded
SELECT
  actors.actor_token_hash AS key,
  actors.actor_user_id,
  actors.actor_role_id,
  actors.actor_permissions,
  actors.actor_session_id,
  actors.actor_api_key_id,
  actors.actor_scope,
  actors.actor_allowed_ips,
  actors.actor_expires_at,
  actors.actor_retiring,
  actors.actor_expired,
  actors.actor_suspended,
  actors.actor_stale,
  actors.actor_authenticated_at,
  actors.actor_impersonator_id,
  actors.actor_two_factor_missing,
  actors.actor_impersonation,
  actors.actor_leaving
FROM actors -- The planner does not see the length of the array; otherwise it would plan again at each run
WHERE actors.actor_token_hash = ANY(ARRAY(SELECT unnest(CAST(:keys AS bytea[]))));

-- name: actors_by_session :many
-- The users and roles behind sessions, by the id of the session, with the hash of its token
SELECT
  actors.actor_session_id AS key,
  actors.actor_token_hash,
  actors.actor_user_id,
  actors.actor_role_id,
  actors.actor_permissions,
  actors.actor_session_id,
  actors.actor_api_key_id,
  actors.actor_scope,
  actors.actor_allowed_ips,
  actors.actor_expires_at,
  actors.actor_retiring,
  actors.actor_expired,
  actors.actor_suspended,
  actors.actor_stale,
  actors.actor_authenticated_at,
  actors.actor_impersonator_id,
  actors.actor_two_factor_missing,
  actors.actor_impersonation,
  actors.actor_leaving
FROM actors -- The planner does not see the length of the array; otherwise it would plan again at each run
WHERE actors.actor_session_id = ANY(ARRAY(SELECT unnest(CAST(:keys AS uuid[]))));
