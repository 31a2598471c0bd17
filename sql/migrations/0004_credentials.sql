-- Ways in: sessions, API keys, SSH keys. Only hashes of tokens are kept, in tables that no GraphQL type maps.

CREATE TABLE sessions (
  id uuid CONSTRAINT sessions_pkey PRIMARY KEY DEFAULT uuid_v7(),
  user_id uuid NOT NULL CONSTRAINT sessions_user_id_fkey REFERENCES users ON DELETE CASCADE,
  ip inet,
  user_agent text,
  created_at timestamptz NOT NULL DEFAULT now(),
  last_seen_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  ended_at timestamptz,
  CONSTRAINT sessions_user_agent_length CHECK (char_length(user_agent) <= 255)
);
CREATE INDEX sessions_user_id_idx ON sessions (user_id, id) WHERE ended_at IS NULL;
CREATE INDEX sessions_user_id_all_idx ON sessions (user_id);
CREATE INDEX sessions_expires_at_idx ON sessions (expires_at);
CREATE INDEX sessions_ended_at_idx ON sessions (ended_at) WHERE ended_at IS NOT NULL;

-- How long a session may go unused. The service gives its setting to each of its connections; psql has the default.
CREATE FUNCTION session_idle() RETURNS interval
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
  SELECT make_interval(secs => CAST(coalesce(nullif(current_setting('roster.session_idle', true), ''), '604800') AS float8))
$$;

-- A session lives until it is ended, runs out, or has gone unused for too long.
CREATE FUNCTION is_live(ended_at timestamptz, expires_at timestamptz, last_seen_at timestamptz) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
AS $$ SELECT ended_at IS NULL AND expires_at > now() AND last_seen_at > now() - session_idle() $$;

CREATE TABLE session_tokens (
  hash bytea CONSTRAINT session_tokens_pkey PRIMARY KEY,
  session_id uuid NOT NULL CONSTRAINT session_tokens_session_id_fkey REFERENCES sessions ON DELETE CASCADE
);
CREATE INDEX session_tokens_session_id_idx ON session_tokens (session_id);

CREATE TABLE api_keys (
  id uuid CONSTRAINT api_keys_pkey PRIMARY KEY DEFAULT uuid_v7(),
  user_id uuid NOT NULL CONSTRAINT api_keys_user_id_fkey REFERENCES users ON DELETE CASCADE,
  name text NOT NULL,
  prefix text NOT NULL,
  permissions text[] NOT NULL DEFAULT '{}',
  allowed_ips cidr[] NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT now(),
  last_used_at timestamptz,
  expires_at timestamptz,
  CONSTRAINT api_keys_name_length CHECK (char_length(name) BETWEEN 1 AND 31)
);
CREATE UNIQUE INDEX api_keys_name_key ON api_keys (user_id, lower(name));
CREATE INDEX api_keys_user_id_idx ON api_keys (user_id, id);

-- A rotated key has two secrets until the grace of the old one is over.
CREATE TABLE api_key_secrets (
  hash bytea CONSTRAINT api_key_secrets_pkey PRIMARY KEY,
  api_key_id uuid NOT NULL CONSTRAINT api_key_secrets_api_key_id_fkey REFERENCES api_keys ON DELETE CASCADE,
  expires_at timestamptz
);
CREATE INDEX api_key_secrets_api_key_id_idx ON api_key_secrets (api_key_id);
CREATE INDEX api_key_secrets_expires_at_idx ON api_key_secrets (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE ssh_keys (
  id uuid CONSTRAINT ssh_keys_pkey PRIMARY KEY DEFAULT uuid_v7(),
  user_id uuid NOT NULL CONSTRAINT ssh_keys_user_id_fkey REFERENCES users ON DELETE CASCADE,
  name text NOT NULL,
  type text NOT NULL,
  fingerprint text NOT NULL,
  public_key text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  last_used_at timestamptz,
  CONSTRAINT ssh_keys_name_length CHECK (char_length(name) BETWEEN 1 AND 31)
);
CREATE UNIQUE INDEX ssh_keys_name_key ON ssh_keys (user_id, lower(name));
-- A key signs one person in: the look-up by fingerprint must have one answer.
CREATE UNIQUE INDEX ssh_keys_fingerprint_key ON ssh_keys (fingerprint);
CREATE INDEX ssh_keys_user_id_idx ON ssh_keys (user_id, id);
