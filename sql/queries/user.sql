-- name: change_plan :one User
-- Give a user a plan, and the tier of the plan
UPDATE users
SET plan_id = plans.id, tier = plans.tier
FROM plans
WHERE users.id = :id AND plans.id = :plan_id
RETURNING users.*;

-- name: count_other_roots :value
-- The number of ROOT users beside this one who stay and can sign in: with a password, and not suspended
SELECT count(*) FROM users
INNER JOIN credentials ON users.id = credentials.user_id
WHERE
  users.role_id = '00000000-0000-7000-8000-000000000004'
  AND users.id <> :id
  AND users.deletion_scheduled_at IS NULL
  AND NOT is_suspended(users.suspended_at, users.suspended_until);

-- name: count_roots :value
-- The number of users with the built-in role ROOT
SELECT count(*) FROM users WHERE users.role_id = '00000000-0000-7000-8000-000000000004';

-- name: create_user :one User
-- Create a user; columns that the record leaves out have these defaults, or null
INSERT INTO users
SELECT record.*
FROM
  jsonb_populate_record(
    CAST(NULL AS users),
    jsonb_build_object(
      'id', uuid_v7(), 'created_at', now(), 'updated_at', now(), 'version', 1,
      'email_verified', FALSE, 'two_factor_enabled', FALSE, 'language', 'en', 'tier', 'FREE',
      'billing_address', jsonb_build_object(), 'settings', jsonb_build_object(), 'limit_overrides', jsonb_build_object()
    ) || CAST(:record AS jsonb)
  ) AS record
RETURNING users.*;

-- name: delete_user :one
-- Delete a user and, by the foreign keys, the credentials and memberships; release the addresses, close the wallets
DELETE FROM users WHERE users.id = :id RETURNING users.id;

-- name: dependents_of_user :one
-- The ids of what is deleted or closed with a user, and the released addresses; the subusers are those of own servers
SELECT
  ARRAY(SELECT api_keys.id FROM api_keys WHERE api_keys.user_id = :id ORDER BY api_keys.id) AS api_keys,
  ARRAY(
    SELECT dedicated_ips.address FROM dedicated_ips WHERE dedicated_ips.user_id = :id ORDER BY dedicated_ips.address
  ) AS dedicated_ips,
  ARRAY(SELECT passkeys.id FROM passkeys WHERE passkeys.user_id = :id ORDER BY passkeys.id) AS passkeys,
  ARRAY(SELECT sessions.id FROM sessions WHERE sessions.user_id = :id ORDER BY sessions.id) AS sessions,
  ARRAY(SELECT ssh_keys.id FROM ssh_keys WHERE ssh_keys.user_id = :id ORDER BY ssh_keys.id) AS ssh_keys,
  ARRAY(SELECT subusers.id FROM subusers WHERE subusers.user_id = :id ORDER BY subusers.id) AS memberships,
  ARRAY(
    SELECT subusers.id
    FROM subusers
    INNER JOIN servers ON subusers.server_id = servers.id
    WHERE servers.owner_id = :id
    ORDER BY subusers.id
  ) AS subusers,
  ARRAY(SELECT wallets.id FROM wallets WHERE wallets.user_id = :id ORDER BY wallets.id) AS wallets;

-- name: keep_user :one User
-- One user, who cannot be deleted until the transaction ends, and what the user's role permits
SELECT users.*, roles.permissions AS role_permissions
FROM users
INNER JOIN roles ON users.role_id = roles.id
WHERE users.id = :id
FOR KEY SHARE OF users;

-- name: list_users :list User
-- Users that match the search and the filter, with a column for each order; for the choice of its index see `pages`
SELECT
  users.*,
  users.created_at AS by_created_at,
  coalesce(fold(users.username), '') AS by_username,
  coalesce(fold(users.email), '') AS by_email,
  coalesce(users.last_login_at, '-infinity') AS by_last_login_at
FROM users
WHERE
  (:search IS NULL OR users.search_text LIKE search_pattern(CAST(:search AS text)))
  AND (
    (:by_username IS NULL AND :by_email IS NULL) OR :search IS NULL
    OR users.search_text COLLATE roster LIKE search_pattern(CAST(:search AS text)) -- noqa: RF03
  )
  AND (:ids IS NULL OR users.id = ANY(CAST(:ids AS uuid[])))
  AND (:tier IS NULL OR users.tier = ANY(CAST(:tier AS text[])))
  AND (:one_tier IS NULL OR users.tier = CAST(:one_tier AS text))
  AND (:role_id IS NULL OR users.role_id = ANY(CAST(:role_id AS uuid[])))
  AND (:one_role_id IS NULL OR users.role_id = CAST(:one_role_id AS uuid))
  AND (:plan_id IS NULL OR users.plan_id = ANY(CAST(:plan_id AS uuid[])))
  AND (:one_plan_id IS NULL OR users.plan_id = CAST(:one_plan_id AS uuid))
  AND (:has_plan IS NULL OR users.plan_id IS NOT NULL)
  AND (:not_has_plan IS NULL OR users.plan_id IS NULL)
  AND (
    :suspended IS NULL
    OR (users.suspended_at IS NOT NULL AND is_suspended(users.suspended_at, users.suspended_until))
  )
  AND (:not_suspended IS NULL OR NOT is_suspended(users.suspended_at, users.suspended_until))
  AND (:two_factor_enabled IS NULL OR users.two_factor_enabled)
  AND (:not_two_factor_enabled IS NULL OR NOT users.two_factor_enabled)
  AND (:email_verified IS NULL OR users.email_verified)
  AND (:not_email_verified IS NULL OR NOT users.email_verified)
  AND (
    :has_password IS NULL
    OR EXISTS (SELECT FROM credentials WHERE credentials.user_id = users.id)
  )
  AND (
    :not_has_password IS NULL
    OR NOT EXISTS (SELECT FROM credentials WHERE credentials.user_id = users.id)
  )
  AND (:created_after IS NULL OR users.created_at > :created_after)
  AND (:created_before IS NULL OR users.created_at < :created_before)
  AND (:last_login_after IS NULL OR coalesce(users.last_login_at, '-infinity') > :last_login_after)
  AND (
    :last_login_before IS NULL
    OR (
      coalesce(users.last_login_at, '-infinity') < :last_login_before
      AND coalesce(users.last_login_at, '-infinity') >= '0001-01-01T00:00:00Z'
    )
  )
  AND (:by_created_at IS NULL OR :last_login_before IS NULL OR users.last_login_at < :last_login_before);

-- name: lock_email :exec
-- Only one transaction at a time creates a user for an email address
SELECT pg_advisory_xact_lock(hashtextextended(fold(:email), 0));

-- name: lock_roots :exec
-- Only one transaction at a time removes a ROOT user; row locks could deadlock when two remove each other
SELECT pg_advisory_xact_lock(hashtextextended('roots', 0));

-- name: lock_user :one User
-- One user, locked until the transaction ends except for foreign keys, and what the role permits once the row is locked
WITH locked AS MATERIALIZED (SELECT users.* FROM users WHERE users.id = :id FOR NO KEY UPDATE)

SELECT locked.*, permissions_of_role(locked.role_id) AS role_permissions FROM locked;

-- name: lock_user_by_email :one User
-- The user with exactly this email address, ignoring case, locked until the transaction ends
SELECT users.* FROM users WHERE fold(users.email) = fold(:email) FOR NO KEY UPDATE;

-- name: suspend_user :one User
-- Suspend a user until a time or until it is lifted; an existing suspension keeps its start
UPDATE users
SET
  suspended_at = CASE
    WHEN is_suspended(users.suspended_at, users.suspended_until) THEN users.suspended_at
    ELSE now()
  END,
  suspended_reason = :reason,
  suspended_until = :until,
  suspended_by = :by
WHERE users.id = :id
RETURNING users.*;

-- name: taken_user_keys :one
-- Which of the unique values another user already has, as booleans; a null value is free
SELECT
  EXISTS(
    SELECT FROM users AS other
    WHERE fold(other.username) = fold(:username) AND other.id IS DISTINCT FROM CAST(:id AS uuid)
  ) AS username,
  EXISTS(
    SELECT FROM users AS other
    WHERE fold(other.email) = fold(:email) AND other.id IS DISTINCT FROM CAST(:id AS uuid)
  ) AS email,
  EXISTS(
    SELECT FROM users AS other
    WHERE other.external_id = :external_id AND other.id IS DISTINCT FROM CAST(:id AS uuid)
  ) AS external_id;

-- name: unsuspend_user :one User
-- Lift a suspension
UPDATE users
SET suspended_at = NULL, suspended_reason = NULL, suspended_until = NULL, suspended_by = NULL
WHERE users.id = :id
RETURNING users.*;

-- name: update_two_factor :one User
-- Set whether a user has a second factor: computed from the factors that there are
UPDATE users
SET
  two_factor_enabled = EXISTS (
    SELECT FROM two_factor_secrets WHERE two_factor_secrets.user_id = :id AND two_factor_secrets.secret IS NOT NULL
  )
  OR EXISTS (SELECT FROM passkeys WHERE passkeys.user_id = :id)
WHERE users.id = :id
RETURNING users.*;

-- name: update_user :one User
-- Set the columns that `changes` names, to null too; the others keep their values
UPDATE users
SET
  username = changed.username,
  email = changed.email,
  email_verified = changed.email_verified,
  pending_email = changed.pending_email,
  first_name = changed.first_name,
  last_name = changed.last_name,
  display_name = changed.display_name,
  language = changed.language,
  tier = changed.tier,
  role_id = changed.role_id,
  plan_id = changed.plan_id,
  date_of_birth = changed.date_of_birth,
  billing_address = changed.billing_address,
  settings = changed.settings,
  limit_overrides = changed.limit_overrides,
  external_id = changed.external_id
FROM users AS present
CROSS JOIN LATERAL jsonb_populate_record(present, CAST(:changes AS jsonb)) AS changed
WHERE users.id = :id AND present.id = users.id
RETURNING users.*;

-- name: user_with_permissions :one User
-- One user, not locked, and what the user's role permits
SELECT users.*, roles.permissions AS role_permissions
FROM users
INNER JOIN roles ON users.role_id = roles.id
WHERE users.id = :id;

-- name: users_by_email :many User
-- Users by email address, ignoring case
SELECT keys.key, users.*
FROM unnest(CAST(:keys AS text[])) AS keys (key)
INNER JOIN users ON fold(keys.key) = fold(users.email);

-- name: users_by_external_id :many User
-- Users by the id that another system gave them
SELECT users.external_id AS key, users.* FROM users WHERE users.external_id = ANY(CAST(:keys AS text[]));

-- name: users_by_id :many User
-- Users by id
SELECT users.id AS key, users.* FROM users WHERE users.id = ANY(CAST(:keys AS uuid[]));

-- name: users_by_plan :list User
-- Users that have a plan
SELECT users.* FROM users WHERE users.plan_id = :key;

-- name: users_by_role :list User
-- Users that have a role
SELECT users.* FROM users WHERE users.role_id = :key;

-- name: users_by_ssh_fingerprint :many User
-- Users by the fingerprint of an SSH key; none if several users have the key
SELECT ssh_keys.fingerprint AS key, users.*
FROM ssh_keys
INNER JOIN users ON ssh_keys.user_id = users.id
WHERE
  ssh_keys.fingerprint = ANY(CAST(:keys AS text[]))
  AND NOT EXISTS (
    SELECT FROM ssh_keys AS other
    WHERE other.fingerprint = ssh_keys.fingerprint AND other.id <> ssh_keys.id
  );

-- name: users_by_username :many User
-- Users by username, ignoring case
SELECT keys.key, users.*
FROM unnest(CAST(:keys AS text[])) AS keys (key)
INNER JOIN users ON fold(keys.key) = fold(users.username);
