-- What self-service needs: one-time tokens, counted attempts, mail to send, and how a session was authenticated.

ALTER TABLE users
ADD COLUMN pending_email text
CONSTRAINT users_pending_email_length CHECK (char_length(pending_email) BETWEEN 3 AND 254);

-- `authenticated_at` is when the user last proved who they are in this session. An `impersonator_id` is the person who
-- opened the session by an autologin link; it has no foreign key, because the audit log must keep it.
ALTER TABLE sessions
ADD COLUMN authenticated_at timestamptz NOT NULL DEFAULT now(),
ADD COLUMN impersonator_id uuid;
UPDATE sessions SET authenticated_at = created_at;
CREATE INDEX sessions_impersonator_id_idx ON sessions (impersonator_id) WHERE impersonator_id IS NOT NULL;

-- Tokens that are valid once, for one purpose. Only their hash is stored. `data` is what the purpose needs, such as the
-- address that is to be confirmed; it never has a secret.
CREATE TABLE one_time_tokens (
  hash bytea CONSTRAINT one_time_tokens_pkey PRIMARY KEY,
  purpose text NOT NULL,
  user_id uuid CONSTRAINT one_time_tokens_user_id_fkey REFERENCES users (id) ON DELETE CASCADE,
  data jsonb NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL
);
CREATE INDEX one_time_tokens_user_id_idx ON one_time_tokens (user_id, purpose);
CREATE INDEX one_time_tokens_expires_at_idx ON one_time_tokens (expires_at);

-- Attempts to prove something, such as a password, by what they are counted for: a hash of an operation and an account,
-- an address, or both. All workers share them. The number of attempts falls steadily, and is 0 at `forgotten_at`.
CREATE TABLE attempts (
  key bytea CONSTRAINT attempts_pkey PRIMARY KEY,
  forgotten_at timestamptz NOT NULL,
  blocked_until timestamptz
) WITH (fillfactor = 70);
CREATE INDEX attempts_forgotten_at_idx ON attempts (forgotten_at);

-- Counts an attempt for each key, and returns 0; or counts nothing, and returns the seconds until the last of the keys
-- is no longer blocked. After `most` attempts a key is blocked for `wait` seconds, twice as long after each further
-- one, at most `longest` seconds. `most` attempts are forgotten in `period` seconds, one after the other. The keys must
-- be in ascending order, so that two calls do not wait for each other.
CREATE FUNCTION count_attempts(
  keys bytea[], most integer[], period float8[], wait float8[], longest float8[]
) RETURNS float8
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
  moment timestamptz := clock_timestamp();
  blocked timestamptz;
BEGIN
  -- Most attempts of a flood end here, without a write
  SELECT max(attempts.blocked_until) INTO blocked FROM attempts WHERE attempts.key = ANY(keys);
  IF blocked > moment THEN
    RETURN extract(EPOCH FROM blocked - moment);
  END IF;
  INSERT INTO attempts (key, forgotten_at)
  SELECT given.key, moment FROM unnest(keys) WITH ORDINALITY AS given (key, number) ORDER BY given.number
  ON CONFLICT (key) DO UPDATE SET forgotten_at = attempts.forgotten_at; -- locks the row
  moment := clock_timestamp();
  SELECT max(attempts.blocked_until) INTO blocked FROM attempts WHERE attempts.key = ANY(keys);
  IF blocked > moment THEN
    RETURN extract(EPOCH FROM blocked - moment);
  END IF;
  -- A crash may lose the last attempts; without this, each would wait for the disk
  PERFORM set_config('synchronous_commit', 'off', TRUE);
  UPDATE attempts
  SET
    forgotten_at = counted.forgotten_at,
    blocked_until = CASE
      WHEN counted.number >= counted.most
        THEN moment + make_interval(
          secs => least(counted.longest, counted.wait * power(2, least(counted.number - counted.most, 30)))
        )
    END
  FROM (
    SELECT
      summed.*,
      round(extract(EPOCH FROM summed.forgotten_at - moment) / (summed.period / summed.most)) AS number
    FROM (
      SELECT
        given.*,
        greatest(known.forgotten_at, moment) + make_interval(secs => given.period / given.most) AS forgotten_at
      FROM attempts AS known
      INNER JOIN unnest(keys, most, period, wait, longest) AS given (key, most, period, wait, longest)
        ON known.key = given.key
    ) AS summed
  ) AS counted
  WHERE attempts.key = counted.key;
  RETURN 0;
END
$$;

-- Mail that is to be sent after the commit of the write that caused it. `content` has what the template needs. It is
-- encrypted, because it may have a token, and is removed when the mail was sent.
CREATE TABLE mails (
  id uuid CONSTRAINT mails_pkey PRIMARY KEY DEFAULT uuid_v7(),
  user_id uuid CONSTRAINT mails_user_id_fkey REFERENCES users (id) ON DELETE CASCADE,
  recipient text NOT NULL,
  template text NOT NULL,
  language text NOT NULL,
  content bytea,
  tries integer NOT NULL DEFAULT 0,
  next_try_at timestamptz NOT NULL DEFAULT now(),
  created_at timestamptz NOT NULL DEFAULT now(),
  sent_at timestamptz,
  failed_at timestamptz
) WITH (fillfactor = 80);
CREATE INDEX mails_next_try_at_idx ON mails (next_try_at) WHERE sent_at IS NULL AND failed_at IS NULL;
CREATE INDEX mails_user_id_idx ON mails (user_id);

-- The users and roles behind sessions and API keys, with how they were authenticated. `actor_two_factor_missing` says
-- that the role requires a second factor that the user does not have.
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
  roles.require_two_factor AND NOT users.two_factor_enabled AS actor_two_factor_missing
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
  roles.require_two_factor AND NOT users.two_factor_enabled AS actor_two_factor_missing
FROM api_key_secrets
INNER JOIN api_keys ON api_key_secrets.api_key_id = api_keys.id
INNER JOIN users ON api_keys.user_id = users.id
INNER JOIN roles ON users.role_id = roles.id;
