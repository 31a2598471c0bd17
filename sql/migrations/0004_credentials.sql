-- Sessions, API keys, and SSH keys. Only hashes of tokens are stored, in tables that no GraphQL type maps.

CREATE TABLE sessions (
  id uuid CONSTRAINT sessions_pkey PRIMARY KEY DEFAULT uuid_v7(),
  user_id uuid NOT NULL CONSTRAINT sessions_user_id_fkey REFERENCES users ON DELETE CASCADE,
  ip inet,
  user_agent text,
  device text,
  created_at timestamptz NOT NULL DEFAULT now(),
  last_seen_at timestamptz NOT NULL DEFAULT now(),
  idle_expires_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  ended_at timestamptz,
  CONSTRAINT sessions_device_length CHECK (char_length(device) <= 255),
  CONSTRAINT sessions_user_agent_length CHECK (char_length(user_agent) <= 255)
);
CREATE INDEX sessions_user_id_idx ON sessions (user_id, id) WHERE ended_at IS NULL;
CREATE INDEX sessions_user_id_all_idx ON sessions (user_id);
CREATE INDEX sessions_expires_at_idx ON sessions (expires_at);
CREATE INDEX sessions_ended_at_idx ON sessions (ended_at) WHERE ended_at IS NOT NULL;

-- A session is live until it is ended, expires, or has not been used for too long.
CREATE FUNCTION is_live(ended_at timestamptz, expires_at timestamptz, idle_expires_at timestamptz) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
RETURN ended_at IS NULL AND expires_at > now() AND idle_expires_at > now();

CREATE TABLE session_tokens (
  hash bytea CONSTRAINT session_tokens_pkey PRIMARY KEY,
  session_id uuid NOT NULL CONSTRAINT session_tokens_session_id_fkey REFERENCES sessions ON DELETE CASCADE
);
CREATE INDEX session_tokens_session_id_idx ON session_tokens (session_id);

CREATE TABLE api_keys (
  id uuid CONSTRAINT api_keys_pkey PRIMARY KEY DEFAULT uuid_v7(),
  user_id uuid NOT NULL CONSTRAINT api_keys_user_id_fkey REFERENCES users ON DELETE CASCADE,
  name text COLLATE "C" NOT NULL,
  prefix text NOT NULL,
  permissions text[] NOT NULL DEFAULT '{}',
  allowed_ips cidr[] NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT now(),
  last_used_at timestamptz,
  expires_at timestamptz,
  CONSTRAINT api_keys_name_length CHECK (char_length(name) BETWEEN 1 AND 31)
);
CREATE UNIQUE INDEX api_keys_name_key ON api_keys (user_id, fold(name));
CREATE INDEX api_keys_user_id_idx ON api_keys (user_id, id);
CREATE INDEX api_keys_expires_at_idx ON api_keys (expires_at) WHERE expires_at IS NOT NULL;

-- A rotated key has two secrets until the grace period of the old one is over.
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
  name text COLLATE "C" NOT NULL,
  type text NOT NULL,
  fingerprint text COLLATE "C" NOT NULL,
  public_key text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  last_used_at timestamptz,
  CONSTRAINT ssh_keys_name_length CHECK (char_length(name) BETWEEN 1 AND 31),
  CONSTRAINT ssh_keys_public_key_length CHECK (char_length(public_key) <= 16384)
);
CREATE UNIQUE INDEX ssh_keys_name_key ON ssh_keys (user_id, fold(name));
-- Unique per user, not over all users: a public key is public, so who adds it first must not lock its owner out
CREATE UNIQUE INDEX ssh_keys_fingerprint_key ON ssh_keys (fingerprint, user_id);
CREATE INDEX ssh_keys_user_id_idx ON ssh_keys (user_id, id);
