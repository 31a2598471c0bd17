-- What a user may do (role), and what a user gets (plan).

CREATE TABLE roles (
  id uuid CONSTRAINT roles_pkey PRIMARY KEY DEFAULT uuid_v7(),
  name text COLLATE "C" NOT NULL,
  description text,
  builtin boolean NOT NULL DEFAULT FALSE,
  permissions text[] NOT NULL DEFAULT '{}',
  require_two_factor boolean NOT NULL DEFAULT FALSE,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT roles_name_length CHECK (char_length(name) BETWEEN 1 AND 255),
  CONSTRAINT roles_description_length CHECK (char_length(description) <= 1024)
);
CREATE UNIQUE INDEX roles_name_key ON roles (fold(name));

-- `*` is every present and future permission. Only ROOT holds it: no other role and no API key can.
INSERT INTO roles (id, name, description, builtin, permissions) VALUES
(
  '00000000-0000-7000-8000-000000000001', 'USER', 'A person with an account', TRUE, '{}'
),
(
  '00000000-0000-7000-8000-000000000002', 'STAFF', 'Reads users and servers, and suspends users', TRUE,
  '{audit.read,roles.read,servers.read,users.read,users.sessions,users.suspend}'
),
(
  '00000000-0000-7000-8000-000000000003', 'ADMIN', 'Holds every admin permission', TRUE,
  ARRAY[
    'audit.read', 'plans.create', 'plans.delete', 'plans.update', 'roles.create', 'roles.delete', 'roles.read',
    'roles.update', 'servers.create', 'servers.delete', 'servers.read', 'servers.update', 'users.billing',
    'users.create', 'users.credentials', 'users.delete', 'users.password', 'users.plan', 'users.read',
    'users.sessions', 'users.suspend', 'users.update'
  ]
),
(
  '00000000-0000-7000-8000-000000000004', 'ROOT', 'Holds everything; only ROOT can change other ROOT users', TRUE, '{*}'
);

CREATE TABLE plans (
  id uuid CONSTRAINT plans_pkey PRIMARY KEY DEFAULT uuid_v7(),
  name text COLLATE "C" NOT NULL,
  description text,
  tier text NOT NULL,
  is_default boolean NOT NULL DEFAULT FALSE,
  limits jsonb NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT plans_name_length CHECK (char_length(name) BETWEEN 1 AND 255),
  CONSTRAINT plans_description_length CHECK (char_length(description) <= 1024),
  CONSTRAINT plans_tier_known CHECK (tier IN ('FREE', 'PAID', 'EDUCATIONAL', 'ENTERPRISE')),
  CONSTRAINT plans_limits_object CHECK (jsonb_typeof(limits) = 'object')
);
CREATE UNIQUE INDEX plans_name_key ON plans (fold(name));
CREATE UNIQUE INDEX plans_default_key ON plans (is_default) WHERE is_default;
