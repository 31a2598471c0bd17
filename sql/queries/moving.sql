-- name: api_key_hashes :many
-- Which of the hashes belong to an API key
SELECT api_key_secrets.hash FROM api_key_secrets WHERE api_key_secrets.hash = ANY(CAST(:digests AS bytea[]));

-- name: create_imported_entries :exec
-- Add an entry to the ledger of each wallet, which changes its balance
INSERT INTO wallet_entries (wallet_id, amount_msat, reason)
SELECT given.id AS wallet_id, given.amount AS amount_msat, CAST(:reason AS text) AS reason
FROM unnest(CAST(:ids AS uuid[]), CAST(:amounts AS bigint[])) AS given (id, amount);

-- name: custom_roles_by_name :many
-- Roles that are not built in by name, ignoring case
SELECT keys.key, roles.id
FROM unnest(CAST(:keys AS text[])) AS keys (key)
INNER JOIN roles ON fold(keys.key) = fold(roles.name)
WHERE NOT roles.builtin;

-- name: default_wallets_of_users :many
-- The default wallet of each user, and the number of all wallets
SELECT
  wallets.id,
  wallets.user_id,
  (SELECT count(*) FROM wallets AS other WHERE other.user_id = wallets.user_id) AS number
FROM wallets
WHERE wallets.user_id = ANY(CAST(:ids AS uuid[])) AND wallets.is_default;

-- name: exported_api_keys :many
-- API keys that have not expired, with the hash of the secret in use
SELECT api_keys.*, api_key_secrets.hash
FROM api_keys
INNER JOIN api_key_secrets ON api_keys.id = api_key_secrets.api_key_id AND api_key_secrets.expires_at IS NULL
WHERE in_force(api_keys.expires_at)
ORDER BY api_keys.id;

-- name: exported_passkeys :many
-- Passkeys
SELECT passkeys.* FROM passkeys ORDER BY passkeys.id;

-- name: exported_plans :many
-- Plans
SELECT plans.* FROM plans ORDER BY plans.id;

-- name: exported_roles :many
-- Roles that are not built in
SELECT roles.* FROM roles WHERE NOT roles.builtin ORDER BY roles.id;

-- name: exported_servers :many
-- Servers
SELECT servers.* FROM servers ORDER BY servers.id;

-- name: exported_ssh_keys :many
-- SSH keys
SELECT ssh_keys.* FROM ssh_keys ORDER BY ssh_keys.id;

-- name: exported_subusers :many
-- Memberships in force
SELECT subusers.* FROM subusers WHERE in_force(subusers.until) ORDER BY subusers.id;

-- name: exported_users :many
-- Users with the hashes of their passwords and recovery codes, and the encrypted secrets of their authenticator apps
SELECT
  users.*,
  credentials.password_hash,
  credentials.changed_at AS password_changed_at,
  two_factor_secrets.secret AS two_factor_secret,
  wallets.id AS default_wallet_id,
  wallets.created_at AS default_wallet_created_at,
  CASE WHEN roles.builtin THEN roles.name ELSE CAST(roles.id AS text) END AS role,
  ARRAY(
    SELECT recovery_codes.hash FROM recovery_codes WHERE recovery_codes.user_id = users.id ORDER BY recovery_codes.hash
  ) AS recovery_codes
FROM users
INNER JOIN roles ON users.role_id = roles.id
LEFT JOIN credentials ON users.id = credentials.user_id
LEFT JOIN two_factor_secrets ON users.id = two_factor_secrets.user_id
LEFT JOIN wallets ON users.id = wallets.user_id AND wallets.is_default
ORDER BY users.id;

-- name: exported_wallets :many
-- Wallets that are not closed
SELECT wallets.* FROM wallets WHERE wallets.user_id IS NOT NULL ORDER BY wallets.id;

-- name: imported_objects :many
-- The objects that were made of rows of a source, also those that are deleted, whose key is erased_key() of theirs
SELECT imported_rows.key, imported_rows.object_id AS id
FROM imported_rows
WHERE
  imported_rows.source = :source
  AND imported_rows.kind = :kind
  AND imported_rows.key = ANY(CAST(:keys AS text[]));

-- name: lock_import :value
-- Only one session at a time imports; false if another one does
SELECT pg_try_advisory_lock(hashtextextended('import', 0));

-- name: lock_servers :many
-- The owners of servers, which are locked until the transaction ends, in an order in which others do not deadlock
SELECT servers.id, servers.owner_id FROM servers
WHERE servers.id = ANY(CAST(:ids AS uuid[]))
ORDER BY servers.id
FOR UPDATE;

-- name: lock_users :many
-- Users, locked until the transaction ends except for foreign keys, in an order in which others do not deadlock
SELECT users.id, users.plan_id, users.limit_overrides FROM users
WHERE users.id = ANY(CAST(:ids AS uuid[]))
ORDER BY users.id
FOR NO KEY UPDATE;

-- name: plans_by_name :many
-- Plans by name, ignoring case
SELECT keys.key, plans.id
FROM unnest(CAST(:keys AS text[])) AS keys (key)
INNER JOIN plans ON fold(keys.key) = fold(plans.name);

-- name: rename_wallets :many Wallet
-- Change the names of wallets
UPDATE wallets SET name = given.name
FROM unnest(CAST(:ids AS uuid[]), CAST(:names AS text[])) AS given (id, name)
WHERE wallets.id = given.id
RETURNING wallets.*;

-- name: set_two_factor_of_users :exec
-- State that users have a second factor
UPDATE users SET two_factor_enabled = TRUE
WHERE users.id = ANY(CAST(:ids AS uuid[])) AND NOT users.two_factor_enabled;
