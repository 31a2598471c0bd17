-- name: create_passkey :one Passkey
-- Add a passkey
INSERT INTO passkeys (user_id, name, credential_id, public_key, sign_count, transports)
VALUES (:user_id, :name, :credential_id, :public_key, :sign_count, CAST(:transports AS text[]))
RETURNING passkeys.*;

-- name: delete_passkey :one
-- Delete a passkey
DELETE FROM passkeys WHERE passkeys.id = :id RETURNING passkeys.id;

-- name: delete_passkeys_by_user :many
-- Delete the passkeys of a user
DELETE FROM passkeys WHERE passkeys.user_id = :user_id RETURNING passkeys.id;

-- name: lock_passkey :one Passkey
-- One passkey, locked until the transaction ends
SELECT passkeys.* FROM passkeys WHERE passkeys.id = :id FOR UPDATE;

-- name: lock_passkey_credential :one
-- The credential of a passkey, locked until the transaction ends
SELECT passkeys.id, passkeys.user_id, passkeys.public_key, passkeys.sign_count
FROM passkeys
WHERE passkeys.id = :id
FOR UPDATE;

-- name: passkey_by_credential :one
-- The passkey of a credential, and its user
SELECT passkeys.id, passkeys.user_id FROM passkeys WHERE passkeys.credential_id = :credential_id;

-- name: passkey_credentials_of_user :many
-- The credentials of a user's passkeys, to name them to an authenticator
SELECT passkeys.credential_id, passkeys.transports
FROM passkeys
WHERE passkeys.user_id = :user_id
ORDER BY passkeys.id ASC;

-- name: passkeys_by_id :many Passkey
-- Passkeys by id
SELECT passkeys.id AS key, passkeys.* FROM passkeys WHERE passkeys.id = ANY(CAST(:keys AS uuid[]));

-- name: passkeys_by_user :list Passkey
-- Passkeys of a user
SELECT passkeys.* FROM passkeys WHERE passkeys.user_id = :key;

-- name: record_passkey_use :exec
-- Record the use of a passkey, with the authenticator's counter of uses
UPDATE passkeys SET sign_count = :sign_count, last_used_at = now() WHERE passkeys.id = :id;

-- name: rename_passkey :one Passkey
-- Rename a passkey
UPDATE passkeys SET name = :name WHERE passkeys.id = :id RETURNING passkeys.*;

-- name: taken_passkey :one
-- Which values of a new passkey are taken, as booleans: a name by the same user, a credential by any
SELECT
  EXISTS(
    SELECT FROM passkeys WHERE passkeys.user_id = :user_id AND fold(passkeys.name) = fold(:name)
  ) AS name,
  EXISTS(SELECT FROM passkeys WHERE passkeys.credential_id = :credential_id) AS credential;
