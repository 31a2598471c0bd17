-- name: count_other_roots :value
-- Root accounts beside this one that can sign in: with a password and not suspended
SELECT count(*) FROM users
JOIN credentials ON credentials.user_id = users.id
WHERE users.role_id = '00000000-0000-7000-8000-000000000004'
  AND users.id <> :id
  AND NOT is_suspended(users.suspended_at, users.suspended_until);

-- name: count_roots :value
-- Accounts that hold the built-in ROOT role
SELECT count(*) FROM users WHERE users.role_id = '00000000-0000-7000-8000-000000000004';

-- name: count_users_by_plan :many
-- How many users each plan has
SELECT users.plan_id AS key, count(*) AS count FROM users WHERE users.plan_id = ANY (CAST(:keys AS uuid[])) GROUP BY users.plan_id;

-- name: count_users_by_role :many
-- How many users each role has
SELECT users.role_id AS key, count(*) AS count FROM users WHERE users.role_id = ANY (CAST(:keys AS uuid[])) GROUP BY users.role_id;

-- name: create_user :one User
-- A new account; what the record leaves out gets the column's default
INSERT INTO users (
  id, username, email, first_name, last_name, display_name, language, tier, role_id, plan_id, date_of_birth, billing_address, external_id
)
SELECT uuid_v7(), username, email, first_name, last_name, display_name, language, tier, role_id, plan_id, date_of_birth, billing_address, external_id
FROM jsonb_populate_record(CAST(NULL AS users), CAST(:record AS jsonb))
RETURNING users.*;

-- name: delete_user :one
-- The account and, by the foreign keys, its credentials and memberships
DELETE FROM users WHERE users.id = :id RETURNING users.id;

-- name: lock_email :exec
-- One transaction at a time makes an account for an address
SELECT pg_advisory_xact_lock(hashtextextended(lower(:email), 0));

-- name: lock_roots :exec
-- One transaction at a time takes a root away; no row lock, or two roots who remove each other would wait in a circle
SELECT pg_advisory_xact_lock(hashtextextended('roots', 0));

-- name: lock_user :one User
-- One account, held until the transaction ends; foreign keys may still be checked against it meanwhile
SELECT users.* FROM users WHERE users.id = :id FOR NO KEY UPDATE;

-- name: lock_user_by_email :one User
-- The account with exactly this address, ignoring case, held until the transaction ends
SELECT users.* FROM users WHERE lower(users.email) = lower(:email) FOR NO KEY UPDATE;

-- name: passwords_by_user :many
-- Which of the accounts have a password
SELECT credentials.user_id AS key FROM credentials WHERE credentials.user_id = ANY (CAST(:keys AS uuid[]));

-- name: suspend_user :one User
-- Suspended from now on, until a time or until lifted; who is suspended already stays so since then
UPDATE users
SET
  suspended_at = CASE WHEN is_suspended(suspended_at, suspended_until) THEN suspended_at ELSE now() END,
  suspended_reason = :reason,
  suspended_until = :until,
  suspended_by = :by
WHERE users.id = :id
RETURNING users.*;

-- name: unsuspend_user :one User
-- The suspension and everything known of it is gone
UPDATE users
SET suspended_at = NULL, suspended_reason = NULL, suspended_until = NULL, suspended_by = NULL
WHERE users.id = :id
RETURNING users.*;

-- name: update_user :one User
-- What `changes` names gets its value, null included; the rest stays
UPDATE users
SET (
  username, email, email_verified, first_name, last_name, display_name, language, tier, role_id, plan_id,
  date_of_birth, billing_address, settings, limit_overrides, external_id
) = (
  SELECT
    username, email, email_verified, first_name, last_name, display_name, language, tier, role_id, plan_id,
    date_of_birth, billing_address, settings, limit_overrides, external_id
  FROM jsonb_populate_record(users, CAST(:changes AS jsonb))
)
WHERE users.id = :id
RETURNING users.*;

-- name: users_by_email :many User
-- Accounts by their whole address, ignoring case
SELECT keys.key, users.*
FROM unnest(CAST(:keys AS text[])) AS keys (key)
JOIN users ON lower(users.email) = lower(keys.key);

-- name: users_by_external_id :many User
-- Accounts by the id that another system gave them
SELECT users.external_id AS key, users.* FROM users WHERE users.external_id = ANY (CAST(:keys AS text[]));

-- name: users_by_id :many User
-- Accounts by id
SELECT users.id AS key, users.* FROM users WHERE users.id = ANY (CAST(:keys AS uuid[]));

-- name: users_by_plan :many User
-- The next users of each plan, in the order of their ids
SELECT keys.key, page.*
FROM unnest(CAST(:keys AS uuid[])) AS keys (key)
CROSS JOIN LATERAL (
  SELECT users.* FROM users
  WHERE users.plan_id = keys.key AND (CAST(:after AS uuid) IS NULL OR users.id > CAST(:after AS uuid))
  ORDER BY users.id
  LIMIT :limit
) AS page;

-- name: users_by_role :many User
-- The next users of each role, in the order of their ids
SELECT keys.key, page.*
FROM unnest(CAST(:keys AS uuid[])) AS keys (key)
CROSS JOIN LATERAL (
  SELECT users.* FROM users
  WHERE users.role_id = keys.key AND (CAST(:after AS uuid) IS NULL OR users.id > CAST(:after AS uuid))
  ORDER BY users.id
  LIMIT :limit
) AS page;

-- name: users_by_ssh_fingerprint :many User
-- Accounts by the fingerprint of an SSH key
SELECT ssh_keys.fingerprint AS key, users.*
FROM ssh_keys
JOIN users ON users.id = ssh_keys.user_id
WHERE ssh_keys.fingerprint = ANY (CAST(:keys AS text[]));

-- name: users_by_username :many User
-- Accounts by their whole username, ignoring case
SELECT keys.key, users.*
FROM unnest(CAST(:keys AS text[])) AS keys (key)
JOIN users ON lower(users.username) = lower(keys.key);
