-- name: add_ssh_key :one SshKey
-- Add a public key
INSERT INTO ssh_keys (user_id, name, type, fingerprint, public_key)
VALUES (:user_id, :name, :type, :fingerprint, :public_key)
RETURNING ssh_keys.*;

-- name: count_ssh_keys :value
-- The number of a user's SSH keys; run it while the user is locked
SELECT count(*) FROM ssh_keys WHERE ssh_keys.user_id = :user_id;

-- name: delete_ssh_key :one
-- Delete a key
DELETE FROM ssh_keys WHERE ssh_keys.id = :id RETURNING ssh_keys.id;

-- name: lock_ssh_key :one SshKey
-- One key, locked until the transaction ends
SELECT ssh_keys.* FROM ssh_keys WHERE ssh_keys.id = :id FOR UPDATE;

-- name: rename_ssh_key :one SshKey
-- Rename a key
UPDATE ssh_keys SET name = :name WHERE ssh_keys.id = :id RETURNING ssh_keys.*;

-- name: ssh_keys_by_id :many SshKey
-- SSH keys by id
SELECT ssh_keys.id AS key, ssh_keys.* FROM ssh_keys WHERE ssh_keys.id = ANY(CAST(:keys AS uuid[]));

-- name: ssh_keys_by_user :list SshKey
-- SSH keys of a user
SELECT ssh_keys.* FROM ssh_keys WHERE ssh_keys.user_id = :key;

-- name: taken_ssh_key :one
-- Which values of a new SSH key the user already has, as booleans
SELECT
  coalesce(bool_or(fold(ssh_keys.name) = fold(:name)), FALSE) AS name,
  coalesce(bool_or(ssh_keys.fingerprint = :fingerprint), FALSE) AS public_key
FROM ssh_keys
WHERE ssh_keys.user_id = :user_id;
