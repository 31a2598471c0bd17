-- What an account may do (role), and what it gets (plan).

CREATE TABLE roles (
  id uuid CONSTRAINT roles_pkey PRIMARY KEY DEFAULT uuid_v7(),
  name text NOT NULL,
  description text,
  builtin boolean NOT NULL DEFAULT false,
  permissions text[] NOT NULL DEFAULT '{}',
  require_two_factor boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT roles_name_length CHECK (char_length(name) BETWEEN 1 AND 255),
  CONSTRAINT roles_description_length CHECK (char_length(description) <= 1024)
);
CREATE UNIQUE INDEX roles_name_key ON roles (lower(name));

-- `*` is every permission there is or will be, and root itself: no other role and no API key can hold it.
INSERT INTO roles (id, name, description, builtin, permissions) VALUES
  ('00000000-0000-7000-8000-000000000001', 'USER', 'A person with an account of their own', true, '{}'),
  ('00000000-0000-7000-8000-000000000002', 'STAFF', 'Sees users and servers and can suspend users', true,
    '{audit.read,ips.read,roles.read,servers.read,users.read,users.sessions,users.suspend}'),
  ('00000000-0000-7000-8000-000000000003', 'ADMIN', 'Holds every admin permission', true,
    '{audit.read,ips.assign,ips.read,plans.create,plans.delete,plans.update,roles.create,roles.delete,roles.read,roles.update,servers.create,servers.delete,servers.read,servers.update,settings.read,settings.update,users.billing,users.create,users.credentials,users.delete,users.impersonate,users.password,users.plan,users.read,users.sessions,users.suspend,users.two-factor,users.update,wallets.adjust,wallets.read}'),
  ('00000000-0000-7000-8000-000000000004', 'ROOT', 'Holds everything, and alone touches other root accounts', true, '{*}');

CREATE TABLE plans (
  id uuid CONSTRAINT plans_pkey PRIMARY KEY DEFAULT uuid_v7(),
  name text NOT NULL,
  description text,
  tier text NOT NULL,
  is_default boolean NOT NULL DEFAULT false,
  limits jsonb NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT plans_name_length CHECK (char_length(name) BETWEEN 1 AND 255),
  CONSTRAINT plans_description_length CHECK (char_length(description) <= 1024),
  CONSTRAINT plans_tier_known CHECK (tier IN ('FREE', 'PAID', 'EDUCATIONAL', 'ENTERPRISE')),
  CONSTRAINT plans_limits_object CHECK (jsonb_typeof(limits) = 'object')
);
CREATE UNIQUE INDEX plans_name_key ON plans (lower(name));
CREATE UNIQUE INDEX plans_default_key ON plans (is_default) WHERE is_default;
