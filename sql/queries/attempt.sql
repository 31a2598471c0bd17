-- name: count_attempts :value
-- Count an attempt for keys in ascending order; the seconds for which it is blocked, 0 if it may go on
SELECT count_attempts(
  CAST(:keys AS bytea[]), CAST(:most AS integer[]), CAST(:period AS float8[]), CAST(:wait AS float8[]),
  CAST(:longest AS float8[])
);

-- name: forget_attempts :exec
-- Forget the attempts of some keys, and one attempt of others, after a success; locks as count_attempts does
UPDATE attempts
SET
  count = CASE WHEN attempts.key = ANY(CAST(:reduced AS bytea[])) THEN greatest(attempts.count - 1, 0) ELSE 0 END,
  blocked_until = NULL
FROM (
  SELECT known.key FROM attempts AS known
  WHERE known.key = ANY(CAST(:forgotten AS bytea[]) || CAST(:reduced AS bytea[]))
  ORDER BY known.key ASC
  FOR UPDATE
) AS locked
WHERE attempts.key = locked.key;
