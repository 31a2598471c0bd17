-- Keys (Ed25519) that sign access tokens. One is in use; a retired key stays until the tokens that it signed have
-- expired. The private key is encrypted, and is removed when the key retires.

CREATE TABLE signing_keys (
  id uuid CONSTRAINT signing_keys_pkey PRIMARY KEY DEFAULT uuid_v7(),
  public_key bytea NOT NULL,
  private_key bytea,
  created_at timestamptz NOT NULL DEFAULT now(),
  retired_at timestamptz
);
CREATE UNIQUE INDEX signing_keys_current_key ON signing_keys ((retired_at IS NULL)) WHERE retired_at IS NULL;
