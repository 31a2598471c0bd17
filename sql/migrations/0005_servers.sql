-- Servers, and the users who have access to them.

CREATE TABLE servers (
  id uuid CONSTRAINT servers_pkey PRIMARY KEY DEFAULT uuid_v7(),
  name text COLLATE "C" NOT NULL,
  external_id text COLLATE "C",
  owner_id uuid NOT NULL CONSTRAINT servers_owner_id_fkey REFERENCES users,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT servers_name_length CHECK (char_length(name) BETWEEN 1 AND 255),
  CONSTRAINT servers_external_id_length CHECK (char_length(external_id) BETWEEN 1 AND 255)
);
CREATE UNIQUE INDEX servers_external_id_key ON servers (external_id);
CREATE INDEX servers_owner_id_idx ON servers (owner_id, id);
CREATE INDEX servers_search_idx ON servers USING gin (fold(name) gin_trgm_ops);

CREATE TABLE subusers (
  id uuid CONSTRAINT subusers_pkey PRIMARY KEY DEFAULT uuid_v7(),
  server_id uuid NOT NULL CONSTRAINT subusers_server_id_fkey REFERENCES servers ON DELETE CASCADE,
  user_id uuid NOT NULL CONSTRAINT subusers_user_id_fkey REFERENCES users ON DELETE CASCADE,
  permissions text[] NOT NULL,
  until timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT subusers_server_id_user_id_key UNIQUE (server_id, user_id)
);
CREATE INDEX subusers_server_id_idx ON subusers (server_id, id);
CREATE INDEX subusers_user_id_idx ON subusers (user_id, id);
