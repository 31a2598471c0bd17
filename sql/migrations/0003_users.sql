-- Users. Password hashes are in a table of their own, which no GraphQL type maps.

CREATE TABLE users (
  id uuid CONSTRAINT users_pkey PRIMARY KEY DEFAULT uuid_v7(),
  username text COLLATE "C",
  email text COLLATE "C",
  email_verified boolean NOT NULL DEFAULT FALSE,
  first_name text,
  last_name text,
  display_name text,
  language text NOT NULL DEFAULT 'en',
  tier text NOT NULL DEFAULT 'FREE',
  role_id uuid NOT NULL DEFAULT '00000000-0000-7000-8000-000000000001'
  CONSTRAINT users_role_id_fkey REFERENCES roles,
  plan_id uuid CONSTRAINT users_plan_id_fkey REFERENCES plans,
  date_of_birth date,
  billing_address jsonb NOT NULL DEFAULT '{}',
  settings jsonb NOT NULL DEFAULT '{}',
  limit_overrides jsonb NOT NULL DEFAULT '{}',
  two_factor_enabled boolean NOT NULL DEFAULT FALSE,
  external_id text COLLATE "C",
  suspended_at timestamptz,
  suspended_reason text,
  suspended_until timestamptz,
  suspended_by uuid, -- not a foreign key: who suspended stays recorded after that user is deleted
  last_login_at timestamptz,
  version integer NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT users_username_length CHECK (char_length(username) BETWEEN 1 AND 191),
  CONSTRAINT users_email_length CHECK (char_length(email) BETWEEN 3 AND 254),
  CONSTRAINT users_first_name_length CHECK (char_length(first_name) BETWEEN 1 AND 255),
  CONSTRAINT users_last_name_length CHECK (char_length(last_name) BETWEEN 1 AND 255),
  CONSTRAINT users_display_name_length CHECK (char_length(display_name) BETWEEN 1 AND 255),
  CONSTRAINT users_language_length CHECK (char_length(language) BETWEEN 2 AND 15),
  CONSTRAINT users_external_id_length CHECK (char_length(external_id) BETWEEN 1 AND 255),
  CONSTRAINT users_suspended_reason_length CHECK (char_length(suspended_reason) <= 1024),
  CONSTRAINT users_tier_known CHECK (tier IN ('FREE', 'PAID', 'EDUCATIONAL', 'ENTERPRISE')),
  CONSTRAINT users_billing_address_object CHECK (jsonb_typeof(billing_address) = 'object'),
  CONSTRAINT users_settings_object CHECK (
    jsonb_typeof(settings) = 'object' AND octet_length(CAST(settings AS text)) <= 16384
  ),
  CONSTRAINT users_limit_overrides_object CHECK (jsonb_typeof(limit_overrides) = 'object'),
  CONSTRAINT users_suspension_complete CHECK (
    suspended_at IS NOT NULL
    OR (suspended_reason IS NULL AND suspended_until IS NULL AND suspended_by IS NULL)
  )
);

-- The text that a search looks through; one function, so that the index and the statements agree.
CREATE FUNCTION search_text(
  username text, email text, first_name text, last_name text, display_name text
) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN fold(
  coalesce(username, '') || E'\n' || coalesce(email, '') || E'\n'
  || coalesce(first_name, '') || ' ' || coalesce(last_name, '') || E'\n' || coalesce(display_name, '')
);

CREATE UNIQUE INDEX users_username_key ON users (fold(username));
CREATE UNIQUE INDEX users_email_key ON users (fold(email));
CREATE UNIQUE INDEX users_external_id_key ON users (external_id);
CREATE INDEX users_search_idx ON users USING gin (
  search_text(username, email, first_name, last_name, display_name) gin_trgm_ops
);
-- One index for each order of the list (see sql/queries/user.sql)
CREATE INDEX users_created_at_idx ON users (created_at, id);
CREATE INDEX users_username_idx ON users (coalesce(fold(username), ''), id);
CREATE INDEX users_email_idx ON users (coalesce(fold(email), ''), id);
CREATE INDEX users_last_login_at_idx ON users (coalesce(last_login_at, '-infinity'), id);
CREATE INDEX users_suspended_idx ON users (created_at, id) WHERE suspended_at IS NOT NULL;
CREATE INDEX users_role_id_idx ON users (role_id, id);
CREATE INDEX users_plan_id_idx ON users (plan_id, id);

CREATE TRIGGER users_count_version BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION count_version();

CREATE TABLE credentials (
  user_id uuid CONSTRAINT credentials_pkey PRIMARY KEY
  CONSTRAINT credentials_user_id_fkey REFERENCES users ON DELETE CASCADE,
  password_hash text NOT NULL,
  changed_at timestamptz NOT NULL DEFAULT now()
);

-- A suspension is in force from its start until it is lifted or its end has come.
CREATE FUNCTION is_suspended(suspended_at timestamptz, suspended_until timestamptz) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
RETURN suspended_at IS NOT NULL AND in_force(suspended_until);
