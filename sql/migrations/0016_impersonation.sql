-- Sessions that an autologin link opened, and what bounds them.

-- The credential of the impersonator with which the link was created: either a session or an API key. The session ends
-- with it. They have no foreign keys, because the session must not become one of the user when they are deleted.
ALTER TABLE sessions
ADD COLUMN impersonator_session_id uuid,
ADD COLUMN impersonator_api_key_id uuid;

-- A session of an impersonator also has the permissions of the impersonator's role as of now, and the scope, networks,
-- and expiry of the impersonator's API key. It is expired if the impersonator could not create the link now.
CREATE OR REPLACE VIEW actors AS
SELECT
  session_tokens.hash AS actor_token_hash,
  users.id AS actor_user_id,
  users.role_id AS actor_role_id,
  roles.permissions AS actor_permissions,
  sessions.id AS actor_session_id,
  CAST(NULL AS uuid) AS actor_api_key_id,
  CAST(NULL AS text[]) AS actor_scope,
  opener_keys.allowed_ips AS actor_allowed_ips,
  opener_keys.expires_at AS actor_expires_at,
  FALSE AS actor_retiring,
  NOT is_live(sessions.ended_at, sessions.expires_at, sessions.idle_expires_at)
  OR (
    sessions.impersonator_id IS NOT NULL
    AND (
      impersonators.id IS NULL
      OR is_suspended(impersonators.suspended_at, impersonators.suspended_until)
      OR (impersonator_roles.require_two_factor AND NOT impersonators.two_factor_enabled)
      OR NOT coalesce(
        CASE
          WHEN sessions.impersonator_api_key_id IS NULL
            THEN is_live(openers.ended_at, openers.expires_at, openers.idle_expires_at)
          ELSE opener_keys.id IS NOT NULL AND in_force(opener_keys.expires_at)
        END,
        FALSE
      )
    )
  ) AS actor_expired,
  is_suspended(users.suspended_at, users.suspended_until) AS actor_suspended,
  is_stale(
    sessions.last_seen_at, least(interval '1 minute', (sessions.idle_expires_at - sessions.last_seen_at) / 4)
  ) AS actor_stale,
  sessions.authenticated_at AS actor_authenticated_at,
  sessions.impersonator_id AS actor_impersonator_id,
  roles.require_two_factor AND NOT users.two_factor_enabled AS actor_two_factor_missing,
  impersonator_roles.permissions AS actor_impersonator_permissions,
  opener_keys.permissions AS actor_impersonator_scope
FROM session_tokens
INNER JOIN sessions ON session_tokens.session_id = sessions.id
INNER JOIN users ON sessions.user_id = users.id
INNER JOIN roles ON users.role_id = roles.id
LEFT JOIN users AS impersonators ON sessions.impersonator_id = impersonators.id
LEFT JOIN roles AS impersonator_roles ON impersonators.role_id = impersonator_roles.id
LEFT JOIN sessions AS openers ON sessions.impersonator_session_id = openers.id
LEFT JOIN api_keys AS opener_keys ON sessions.impersonator_api_key_id = opener_keys.id
UNION ALL
SELECT
  api_key_secrets.hash AS actor_token_hash,
  users.id AS actor_user_id,
  users.role_id AS actor_role_id,
  roles.permissions AS actor_permissions,
  CAST(NULL AS uuid) AS actor_session_id,
  api_keys.id AS actor_api_key_id,
  api_keys.permissions AS actor_scope,
  api_keys.allowed_ips AS actor_allowed_ips,
  least(api_keys.expires_at, api_key_secrets.expires_at) AS actor_expires_at,
  api_key_secrets.expires_at IS NOT NULL AS actor_retiring,
  NOT in_force(least(api_keys.expires_at, api_key_secrets.expires_at)) AS actor_expired,
  is_suspended(users.suspended_at, users.suspended_until) AS actor_suspended,
  is_stale(api_keys.last_used_at, interval '1 minute') AS actor_stale,
  CAST(NULL AS timestamptz) AS actor_authenticated_at,
  CAST(NULL AS uuid) AS actor_impersonator_id,
  roles.require_two_factor AND NOT users.two_factor_enabled AS actor_two_factor_missing,
  CAST(NULL AS text[]) AS actor_impersonator_permissions,
  CAST(NULL AS text[]) AS actor_impersonator_scope
FROM api_key_secrets
INNER JOIN api_keys ON api_key_secrets.api_key_id = api_keys.id
INNER JOIN users ON api_keys.user_id = users.id
INNER JOIN roles ON users.role_id = roles.id;

-- The role ADMIN holds every admin permission.
UPDATE roles SET permissions = array_append(permissions, 'users.impersonate')
WHERE id = '00000000-0000-7000-8000-000000000003' AND NOT 'users.impersonate' = ANY(permissions);
