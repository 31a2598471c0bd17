-- name: lock_bootstrap :exec
-- Only one process at a time creates the root account
SELECT pg_advisory_xact_lock(:lock);

-- name: ping :value
-- Whether the database answers
SELECT 1;
