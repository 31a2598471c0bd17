-- name: feature_states :many
-- The features that were switched
SELECT features.name, features.enabled FROM features;

-- name: lock_features :exec
-- Only one transaction at a time switches a feature or changes a rule
SELECT pg_advisory_xact_lock(hashtextextended('features', 0));

-- name: set_feature :exec
-- Switch a feature on or off
INSERT INTO features (name, enabled) VALUES (:name, :enabled)
ON CONFLICT (name) DO UPDATE SET enabled = excluded.enabled;
