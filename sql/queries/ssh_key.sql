-- name: add_ssh_key :one SshKey
-- A new public key
INSERT INTO ssh_keys (user_id, name, type, fingerprint, public_key)
VALUES (:user_id, :name, :type, :fingerprint, :public_key)
RETURNING ssh_keys.*;

-- name: count_ssh_keys_by_user :many
-- How many SSH keys each user has
SELECT ssh_keys.user_id AS key, count(*) AS count
FROM ssh_keys
WHERE ssh_keys.user_id = ANY (CAST(:keys AS uuid[]))
GROUP BY ssh_keys.user_id;

-- name: count_ssh_keys_of_user :value
-- How many SSH keys the user has; run under the lock on the user
SELECT count(*) FROM ssh_keys WHERE ssh_keys.user_id = :user_id;

-- name: delete_ssh_key :one
-- The key is gone
DELETE FROM ssh_keys WHERE ssh_keys.id = :id RETURNING ssh_keys.id;

-- name: lock_ssh_key :one SshKey
-- One key, held until the transaction ends
SELECT ssh_keys.* FROM ssh_keys WHERE ssh_keys.id = :id FOR UPDATE;

-- name: rename_ssh_key :one SshKey
-- Another name for the same key
UPDATE ssh_keys SET name = :name WHERE ssh_keys.id = :id RETURNING ssh_keys.*;

-- name: ssh_keys_by_id :many SshKey
-- SSH keys by id
SELECT ssh_keys.id AS key, ssh_keys.* FROM ssh_keys WHERE ssh_keys.id = ANY (CAST(:keys AS uuid[]));

-- name: ssh_keys_by_user :many SshKey
-- SSH keys of each user, newest first
SELECT keys.key, page.*
FROM unnest(CAST(:keys AS uuid[])) AS keys (key)
CROSS JOIN LATERAL (
  SELECT ssh_keys.* FROM ssh_keys
  WHERE ssh_keys.user_id = keys.key
    AND (CAST(:low AS uuid) IS NULL OR ssh_keys.id > CAST(:low AS uuid))
    AND (CAST(:high AS uuid) IS NULL OR ssh_keys.id < CAST(:high AS uuid))
  ORDER BY CASE WHEN CAST(:ascending AS boolean) THEN ssh_keys.id END, ssh_keys.id DESC
  LIMIT :limit
) AS page;
