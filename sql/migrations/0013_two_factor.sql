-- Second factors: the secret of an authenticator app, and recovery codes.

-- `secret` is in use, `pending_secret` is not confirmed yet; both are encrypted. `last_step` is the time step of the
-- last code that was accepted, because a code is valid once.
CREATE TABLE two_factor_secrets (
  user_id uuid CONSTRAINT two_factor_secrets_pkey PRIMARY KEY
  CONSTRAINT two_factor_secrets_user_id_fkey REFERENCES users ON DELETE CASCADE,
  secret bytea,
  pending_secret bytea,
  pending_until timestamptz,
  last_step bigint
);

CREATE TABLE recovery_codes (
  user_id uuid NOT NULL CONSTRAINT recovery_codes_user_id_fkey REFERENCES users ON DELETE CASCADE,
  hash bytea NOT NULL,
  CONSTRAINT recovery_codes_pkey PRIMARY KEY (user_id, hash)
);

-- The built-in role ADMIN may reset them
UPDATE roles SET permissions = array_append(permissions, 'users.two-factor')
WHERE id = '00000000-0000-7000-8000-000000000003' AND 'users.two-factor' <> ALL(permissions);
