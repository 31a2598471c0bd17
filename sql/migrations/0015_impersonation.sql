-- Sessions that an autologin link opened, and what bounds them.

-- The credential of the impersonator with which the link was created: either a session or an API key. The session ends
-- with it. They have no foreign keys, because the session must not become one of the user when they are deleted.
ALTER TABLE sessions
ADD COLUMN impersonator_session_id uuid,
ADD COLUMN impersonator_api_key_id uuid;

-- What a person who acts as a user holds now: the permissions of the role, and the scope, networks, and expiry of the
-- API key that created the link. Null if the person may no longer sign in, or the session or the key has ended. It is a
-- function, because as joins it would make every look-up of a credential slower.
CREATE FUNCTION impersonation(impersonator uuid, by_session uuid, by_api_key uuid) RETURNS jsonb
LANGUAGE plpgsql STABLE
AS $$
BEGIN
  RETURN (
    SELECT
      jsonb_build_object(
        'permissions', roles.permissions,
        'scope', api_keys.permissions,
        'allowed_ips', api_keys.allowed_ips,
        'expires_at', api_keys.expires_at
      )
    FROM users
    INNER JOIN roles ON users.role_id = roles.id
    LEFT JOIN sessions ON sessions.id = by_session
    LEFT JOIN api_keys ON api_keys.id = by_api_key
    WHERE
      users.id = impersonator
      AND NOT is_suspended(users.suspended_at, users.suspended_until)
      AND (users.two_factor_enabled OR NOT roles.require_two_factor)
      AND CASE
        WHEN by_api_key IS NULL THEN is_live(sessions.ended_at, sessions.expires_at, sessions.idle_expires_at)
        ELSE api_keys.id IS NOT NULL AND in_force(api_keys.expires_at)
      END
  );
END
$$;

CREATE OR REPLACE VIEW actors AS
SELECT
  session_tokens.hash AS actor_token_hash,
  users.id AS actor_user_id,
  users.role_id AS actor_role_id,
  roles.permissions AS actor_permissions,
  sessions.id AS actor_session_id,
  CAST(NULL AS uuid) AS actor_api_key_id,
  CAST(NULL AS text[]) AS actor_scope,
  CAST(NULL AS cidr[]) AS actor_allowed_ips,
  CAST(NULL AS timestamptz) AS actor_expires_at,
  FALSE AS actor_retiring,
  NOT is_live(sessions.ended_at, sessions.expires_at, sessions.idle_expires_at) AS actor_expired,
  is_suspended(users.suspended_at, users.suspended_until) AS actor_suspended,
  is_stale(
    sessions.last_seen_at, least(interval '1 minute', (sessions.idle_expires_at - sessions.last_seen_at) / 4)
  ) AS actor_stale,
  sessions.authenticated_at AS actor_authenticated_at,
  sessions.impersonator_id AS actor_impersonator_id,
  roles.require_two_factor AND NOT users.two_factor_enabled AS actor_two_factor_missing,
  CASE
    WHEN sessions.impersonator_id IS NOT NULL
      THEN impersonation(
        sessions.impersonator_id, sessions.impersonator_session_id, sessions.impersonator_api_key_id
      )
  END AS actor_impersonation
FROM session_tokens
INNER JOIN sessions ON session_tokens.session_id = sessions.id
INNER JOIN users ON sessions.user_id = users.id
INNER JOIN roles ON users.role_id = roles.id
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
  CAST(NULL AS jsonb) AS actor_impersonation
FROM api_key_secrets
INNER JOIN api_keys ON api_key_secrets.api_key_id = api_keys.id
INNER JOIN users ON api_keys.user_id = users.id
INNER JOIN roles ON users.role_id = roles.id;

-- The role ADMIN holds every admin permission.
UPDATE roles SET permissions = array_append(permissions, 'users.impersonate')
WHERE id = '00000000-0000-7000-8000-000000000003' AND NOT 'users.impersonate' = ANY(permissions);
