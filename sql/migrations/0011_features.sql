-- What operators switch while the service runs: features, and what holds for registrations from a country.

-- Only features that were switched have a row; the others are as the service declares them.
CREATE TABLE features (
  name text COLLATE "C" CONSTRAINT features_pkey PRIMARY KEY,
  enabled boolean NOT NULL
);

-- A country without a row has no rule. Countries are ISO 3166-1 alpha-2 codes.
CREATE TABLE geo_rules (
  country text COLLATE "C" CONSTRAINT geo_rules_pkey PRIMARY KEY,
  registration_blocked boolean NOT NULL,
  minimum_age integer,
  date_of_birth_required boolean NOT NULL,
  CONSTRAINT geo_rules_country_code CHECK (country ~ '^[A-Z]{2}$'),
  CONSTRAINT geo_rules_minimum_age_range CHECK (minimum_age BETWEEN 0 AND 122)
);

-- ADMIN holds every admin permission.
UPDATE roles
SET
  permissions = ARRAY(
    SELECT DISTINCT held.name
    FROM unnest(roles.permissions || ARRAY['settings.read', 'settings.update']) AS held (name)
    ORDER BY held.name
  )
WHERE roles.id = '00000000-0000-7000-8000-000000000003';
