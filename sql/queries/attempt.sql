-- name: count_attempts :value
-- Count an attempt for keys in ascending order; the seconds for which it is blocked, 0 if it may go on
SELECT count_attempts(
  CAST(:keys AS bytea[]), CAST(:most AS integer[]), CAST(:period AS float8[]), CAST(:wait AS float8[]),
  CAST(:longest AS float8[])
);

-- name: delete_old_attempts :many
-- Delete some of the attempts that no longer count
DELETE FROM attempts
WHERE
  attempts.key IN (
    SELECT old.key FROM attempts AS old
    WHERE old.forgotten_at < now() AND (old.blocked_until IS NULL OR old.blocked_until < now())
    ORDER BY old.forgotten_at
    LIMIT :most
    FOR UPDATE SKIP LOCKED
  )
RETURNING attempts.key;

-- name: forget_attempts :exec
-- Forget all attempts of some keys, and one of another, which takes `seconds` by itself; locks as count_attempts does
UPDATE attempts
SET
  forgotten_at = CASE
    WHEN attempts.key = :reduced THEN attempts.forgotten_at - make_interval(secs => :seconds)
    ELSE now()
  END,
  blocked_until = CASE
    WHEN
      attempts.key = :reduced
      AND round(extract(EPOCH FROM attempts.forgotten_at - now()) / CAST(:seconds AS float8)) > :most
      THEN attempts.blocked_until
  END
FROM (
  SELECT known.key FROM attempts AS known
  WHERE known.key = ANY(array_append(CAST(:forgotten AS bytea[]), :reduced))
  ORDER BY known.key
  FOR UPDATE
) AS locked
WHERE attempts.key = locked.key;
