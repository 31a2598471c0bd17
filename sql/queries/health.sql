-- name: lock_bootstrap :exec
-- One process at a time makes the root account
SELECT pg_advisory_xact_lock(:lock);

-- name: ping :value
-- Whether the database answers
SELECT 1;
