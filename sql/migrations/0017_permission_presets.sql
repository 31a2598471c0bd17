-- Named lists of server permissions. A membership gets a copy, so that a later change of the list gives no access.

CREATE TABLE permission_presets (
  id uuid CONSTRAINT permission_presets_pkey PRIMARY KEY DEFAULT uuid_v7(),
  name text COLLATE "C" NOT NULL,
  description text,
  permissions text[] NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT permission_presets_name_length CHECK (char_length(name) BETWEEN 1 AND 255),
  CONSTRAINT permission_presets_description_length CHECK (char_length(description) <= 1024)
);
CREATE UNIQUE INDEX permission_presets_name_key ON permission_presets (fold(name));
