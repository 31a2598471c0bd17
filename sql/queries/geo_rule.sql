-- name: geo_rule_by_country :one
-- The rule of a country; no row without one
SELECT geo_rules.* FROM geo_rules WHERE geo_rules.country = :country;

-- name: list_geo_rules :many
-- The rules of all countries
SELECT geo_rules.* FROM geo_rules ORDER BY geo_rules.country;

-- name: remove_geo_rule :exec
-- Remove the rule of a country
DELETE FROM geo_rules WHERE geo_rules.country = :country;

-- name: set_geo_rule :exec
-- Set the whole rule of a country
INSERT INTO geo_rules (country, registration_blocked, minimum_age, date_of_birth_required)
VALUES (:country, :registration_blocked, :minimum_age, :date_of_birth_required)
ON CONFLICT (country) DO UPDATE
  SET
    registration_blocked = excluded.registration_blocked,
    minimum_age = excluded.minimum_age,
    date_of_birth_required = excluded.date_of_birth_required;
