-- name: count_attempts :value
-- Count an attempt for keys in ascending order; the seconds for which it is blocked, 0 if it may go on
SELECT count_attempts(
  CAST(:keys AS bytea[]), CAST(:most AS integer[]), CAST(:period AS float8[]), CAST(:wait AS float8[]),
  CAST(:longest AS float8[])
);

-- name: delete_old_attempts :many
-- Delete some of the attempts that were not counted for a day, and block no client
DELETE FROM attempts
WHERE
  attempts.key IN (
    SELECT old.key FROM attempts AS old
    WHERE old.counted_at < now() - interval '1 day' AND coalesce(old.blocked_until, '-infinity') < now()
    LIMIT :most
    FOR UPDATE SKIP LOCKED
  )
RETURNING attempts.counted_at;

-- name: forget_attempts :exec
-- Forget the attempts of some keys, and one attempt of others, after a success
WITH forgotten AS (
  DELETE FROM attempts WHERE attempts.key = ANY(CAST(:forgotten AS bytea[]))
)

UPDATE attempts
SET count = greatest(attempts.count - 1, 0), blocked_until = NULL
WHERE attempts.key = ANY(CAST(:reduced AS bytea[]));
