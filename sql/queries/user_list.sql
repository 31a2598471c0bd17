-- name: count_users :value unprepared
-- How many users fit the filter
SELECT count(*) FROM users_matching(
  lower(CAST(:search AS text)), :tier, :role_id, :plan_id, :suspended, :two_factor_enabled, :email_verified, :created_after, :created_before
) AS users;

-- name: list_users_by_created_at_asc :many User unprepared
-- Users that fit the filter, between two positions, first ones first
SELECT users.*, CAST(users.created_at AS text) AS position
FROM users_matching(
  lower(CAST(:search AS text)), :tier, :role_id, :plan_id, :suspended, :two_factor_enabled, :email_verified, :created_after, :created_before
) AS users
WHERE (CAST(:low_id AS uuid) IS NULL OR (users.created_at, users.id) > (CAST(CAST(:low AS text) AS timestamptz), CAST(:low_id AS uuid)))
  AND (CAST(:high_id AS uuid) IS NULL OR (users.created_at, users.id) < (CAST(CAST(:high AS text) AS timestamptz), CAST(:high_id AS uuid)))
ORDER BY users.created_at, users.id
OFFSET :offset LIMIT :limit;

-- name: list_users_by_created_at_desc :many User unprepared
-- Users that fit the filter, between two positions, last ones first
SELECT users.*, CAST(users.created_at AS text) AS position
FROM users_matching(
  lower(CAST(:search AS text)), :tier, :role_id, :plan_id, :suspended, :two_factor_enabled, :email_verified, :created_after, :created_before
) AS users
WHERE (CAST(:low_id AS uuid) IS NULL OR (users.created_at, users.id) > (CAST(CAST(:low AS text) AS timestamptz), CAST(:low_id AS uuid)))
  AND (CAST(:high_id AS uuid) IS NULL OR (users.created_at, users.id) < (CAST(CAST(:high AS text) AS timestamptz), CAST(:high_id AS uuid)))
ORDER BY users.created_at DESC, users.id DESC
OFFSET :offset LIMIT :limit;

-- name: list_users_by_email_asc :many User unprepared
-- Users that fit the filter, between two positions, first ones first
SELECT users.*, CAST(coalesce(lower(users.email), '') AS text) AS position
FROM users_matching(
  lower(CAST(:search AS text)), :tier, :role_id, :plan_id, :suspended, :two_factor_enabled, :email_verified, :created_after, :created_before
) AS users
WHERE (CAST(:low_id AS uuid) IS NULL OR (coalesce(lower(users.email), ''), users.id) > (CAST(CAST(:low AS text) AS text), CAST(:low_id AS uuid)))
  AND (CAST(:high_id AS uuid) IS NULL OR (coalesce(lower(users.email), ''), users.id) < (CAST(CAST(:high AS text) AS text), CAST(:high_id AS uuid)))
ORDER BY coalesce(lower(users.email), ''), users.id
OFFSET :offset LIMIT :limit;

-- name: list_users_by_email_desc :many User unprepared
-- Users that fit the filter, between two positions, last ones first
SELECT users.*, CAST(coalesce(lower(users.email), '') AS text) AS position
FROM users_matching(
  lower(CAST(:search AS text)), :tier, :role_id, :plan_id, :suspended, :two_factor_enabled, :email_verified, :created_after, :created_before
) AS users
WHERE (CAST(:low_id AS uuid) IS NULL OR (coalesce(lower(users.email), ''), users.id) > (CAST(CAST(:low AS text) AS text), CAST(:low_id AS uuid)))
  AND (CAST(:high_id AS uuid) IS NULL OR (coalesce(lower(users.email), ''), users.id) < (CAST(CAST(:high AS text) AS text), CAST(:high_id AS uuid)))
ORDER BY coalesce(lower(users.email), '') DESC, users.id DESC
OFFSET :offset LIMIT :limit;

-- name: list_users_by_last_login_at_asc :many User unprepared
-- Users that fit the filter, between two positions, first ones first
SELECT users.*, CAST(coalesce(users.last_login_at, '-infinity') AS text) AS position
FROM users_matching(
  lower(CAST(:search AS text)), :tier, :role_id, :plan_id, :suspended, :two_factor_enabled, :email_verified, :created_after, :created_before
) AS users
WHERE (CAST(:low_id AS uuid) IS NULL OR (coalesce(users.last_login_at, '-infinity'), users.id) > (CAST(CAST(:low AS text) AS timestamptz), CAST(:low_id AS uuid)))
  AND (CAST(:high_id AS uuid) IS NULL OR (coalesce(users.last_login_at, '-infinity'), users.id) < (CAST(CAST(:high AS text) AS timestamptz), CAST(:high_id AS uuid)))
ORDER BY coalesce(users.last_login_at, '-infinity'), users.id
OFFSET :offset LIMIT :limit;

-- name: list_users_by_last_login_at_desc :many User unprepared
-- Users that fit the filter, between two positions, last ones first
SELECT users.*, CAST(coalesce(users.last_login_at, '-infinity') AS text) AS position
FROM users_matching(
  lower(CAST(:search AS text)), :tier, :role_id, :plan_id, :suspended, :two_factor_enabled, :email_verified, :created_after, :created_before
) AS users
WHERE (CAST(:low_id AS uuid) IS NULL OR (coalesce(users.last_login_at, '-infinity'), users.id) > (CAST(CAST(:low AS text) AS timestamptz), CAST(:low_id AS uuid)))
  AND (CAST(:high_id AS uuid) IS NULL OR (coalesce(users.last_login_at, '-infinity'), users.id) < (CAST(CAST(:high AS text) AS timestamptz), CAST(:high_id AS uuid)))
ORDER BY coalesce(users.last_login_at, '-infinity') DESC, users.id DESC
OFFSET :offset LIMIT :limit;

-- name: list_users_by_username_asc :many User unprepared
-- Users that fit the filter, between two positions, first ones first
SELECT users.*, CAST(coalesce(lower(users.username), '') AS text) AS position
FROM users_matching(
  lower(CAST(:search AS text)), :tier, :role_id, :plan_id, :suspended, :two_factor_enabled, :email_verified, :created_after, :created_before
) AS users
WHERE (CAST(:low_id AS uuid) IS NULL OR (coalesce(lower(users.username), ''), users.id) > (CAST(CAST(:low AS text) AS text), CAST(:low_id AS uuid)))
  AND (CAST(:high_id AS uuid) IS NULL OR (coalesce(lower(users.username), ''), users.id) < (CAST(CAST(:high AS text) AS text), CAST(:high_id AS uuid)))
ORDER BY coalesce(lower(users.username), ''), users.id
OFFSET :offset LIMIT :limit;

-- name: list_users_by_username_desc :many User unprepared
-- Users that fit the filter, between two positions, last ones first
SELECT users.*, CAST(coalesce(lower(users.username), '') AS text) AS position
FROM users_matching(
  lower(CAST(:search AS text)), :tier, :role_id, :plan_id, :suspended, :two_factor_enabled, :email_verified, :created_after, :created_before
) AS users
WHERE (CAST(:low_id AS uuid) IS NULL OR (coalesce(lower(users.username), ''), users.id) > (CAST(CAST(:low AS text) AS text), CAST(:low_id AS uuid)))
  AND (CAST(:high_id AS uuid) IS NULL OR (coalesce(lower(users.username), ''), users.id) < (CAST(CAST(:high AS text) AS text), CAST(:high_id AS uuid)))
ORDER BY coalesce(lower(users.username), '') DESC, users.id DESC
OFFSET :offset LIMIT :limit;
