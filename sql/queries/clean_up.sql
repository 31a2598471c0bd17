-- name: clean_up_is_free :value
-- Whether no other transaction runs a step of the clean-up; this one then does until it ends
SELECT pg_try_advisory_xact_lock(CAST(:lock AS bigint));
