-- What every write does: judge the caller, lock a user, count the version, and store rows where updates find room.

-- The users and roles behind sessions and API keys, by the hash of the token, and why the credential is not valid now.
-- The columns have a prefix, so that a statement that changes a row can return these with it.
CREATE VIEW actors AS
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
  ) AS actor_stale
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
  is_stale(api_keys.last_used_at, interval '1 minute') AS actor_stale
FROM api_key_secrets
INNER JOIN api_keys ON api_key_secrets.api_key_id = api_keys.id
INNER JOIN users ON api_keys.user_id = users.id
INNER JOIN roles ON users.role_id = roles.id;

-- The permissions of a role at the moment of the call. VOLATILE: a statement of such a function reads what is committed
-- when it begins, while a join or a subquery reads what was committed when the calling statement began, before it
-- waited for a lock. PL/pgSQL keeps the plans of its statements; SQL functions before PostgreSQL 18 do not.
CREATE FUNCTION permissions_of_role(role uuid) RETURNS text[]
LANGUAGE plpgsql VOLATILE STRICT
AS $$
BEGIN
  RETURN (SELECT roles.permissions FROM roles WHERE roles.id = role);
END
$$;

-- Increments the version that optimistic writers compare. A login does not change the version.
CREATE OR REPLACE FUNCTION count_version() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
  IF OLD.last_login_at IS DISTINCT FROM NEW.last_login_at THEN
    OLD.last_login_at := NEW.last_login_at;
    IF OLD IS NOT DISTINCT FROM NEW THEN
      RETURN NEW;
    END IF;
  END IF;
  NEW.version := OLD.version + 1;
  NEW.updated_at := now();
  RETURN NEW;
END
$$;
DROP TRIGGER users_count_version ON users;
CREATE TRIGGER users_count_version BEFORE UPDATE ON users
FOR EACH ROW WHEN (old.* IS DISTINCT FROM new.*) EXECUTE FUNCTION count_version();

-- An update stays within its page, without new entries in indexes (HOT), if no column of an index changes and the page
-- has room. Uses of sessions and keys, new passwords, and settings change no such column. A login does, because lists
-- are ordered by `users.last_login_at`, and so does a change of a name, because of the search. The room is left in new
-- pages.
ALTER TABLE users SET (fillfactor = 85);
ALTER TABLE credentials SET (fillfactor = 85);
ALTER TABLE sessions SET (fillfactor = 80);
ALTER TABLE api_keys SET (fillfactor = 80);
ALTER TABLE idempotency_keys SET (fillfactor = 85);
