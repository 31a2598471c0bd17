-- Registrations that wait for the confirmation of their address. There is no account before: an address or a username
-- cannot be occupied by a person who does not own the address. Only the hash of the token is stored. No type maps this
-- table, because it has password hashes. A row whose token was never sent makes a known address take the same time.
CREATE TABLE registrations (
  hash bytea CONSTRAINT registrations_pkey PRIMARY KEY,
  email text COLLATE "C" NOT NULL,
  columns jsonb NOT NULL,
  password_hash text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL
);
CREATE INDEX registrations_email_idx ON registrations (fold(email));
CREATE INDEX registrations_expires_at_idx ON registrations (expires_at);
