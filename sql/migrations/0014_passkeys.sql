-- Passkeys (WebAuthn): credentials of an authenticator, as a second factor and for a login without a password.

-- No type maps the columns of the credential. The counter of uses shows a copy of the authenticator; it stays 0 for
-- those that do not count.
CREATE TABLE passkeys (
  id uuid CONSTRAINT passkeys_pkey PRIMARY KEY DEFAULT uuid_v7(),
  user_id uuid NOT NULL CONSTRAINT passkeys_user_id_fkey REFERENCES users ON DELETE CASCADE,
  name text COLLATE "C" NOT NULL,
  credential_id bytea NOT NULL,
  public_key bytea NOT NULL,
  sign_count bigint NOT NULL,
  transports text[] NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT now(),
  last_used_at timestamptz,
  CONSTRAINT passkeys_name_length CHECK (char_length(name) BETWEEN 1 AND 31)
);
CREATE UNIQUE INDEX passkeys_name_key ON passkeys (user_id, fold(name));
CREATE UNIQUE INDEX passkeys_credential_id_key ON passkeys (credential_id);
CREATE INDEX passkeys_user_id_idx ON passkeys (user_id, id);
