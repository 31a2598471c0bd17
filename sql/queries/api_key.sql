-- name: api_key_name_is_taken :value
-- Whether another key of the user that has not expired has the name
SELECT EXISTS(
  SELECT FROM api_keys
  WHERE
    api_keys.user_id = :user_id
    AND fold(api_keys.name) = fold(:name)
    AND in_force(api_keys.expires_at)
    AND api_keys.id IS DISTINCT FROM CAST(:id AS uuid)
);

-- name: api_keys_by_id :many ApiKey
-- API keys by id
SELECT api_keys.id AS key, api_keys.* FROM api_keys WHERE api_keys.id = ANY(CAST(:keys AS uuid[]));

-- name: api_keys_by_user :list ApiKey
-- API keys of a user
SELECT api_keys.* FROM api_keys WHERE api_keys.user_id = :key;

-- name: count_valid_api_keys :value
-- The number of a user's API keys that have not expired; run it while the user is locked
SELECT count(*) FROM api_keys WHERE api_keys.user_id = :user_id AND in_force(api_keys.expires_at);

-- name: create_api_key :one ApiKey
-- Create a key, and store the hash of its secret
WITH created AS (
  INSERT INTO api_keys (user_id, name, prefix, permissions, allowed_ips, expires_at)
  VALUES (:user_id, :name, :prefix, CAST(:permissions AS text[]), CAST(:allowed_ips AS cidr[]), :expires_at)
  RETURNING api_keys.*
),

secret AS (
  INSERT INTO api_key_secrets (hash, api_key_id) SELECT :hash, created.id FROM created
)

SELECT created.* FROM created;

-- name: create_api_key_secret :exec
-- Store the hash of a further secret of a key
INSERT INTO api_key_secrets (hash, api_key_id) VALUES (:hash, :api_key_id);

-- name: delete_api_key :one
-- Delete a key and its secrets
DELETE FROM api_keys WHERE api_keys.id = :id RETURNING api_keys.id;

-- name: delete_expired_api_key :one ApiKey
-- Delete a key of a user that expired, so that its name is free again
DELETE FROM api_keys
WHERE api_keys.user_id = :user_id AND fold(api_keys.name) = fold(:name) AND NOT in_force(api_keys.expires_at)
RETURNING api_keys.*;

-- name: delete_expired_api_key_secrets :many
-- Delete some of the old secrets of rotated keys after their grace period
DELETE FROM api_key_secrets
WHERE
  api_key_secrets.hash IN (
    SELECT expired.hash FROM api_key_secrets AS expired
    WHERE expired.expires_at <= now()
    LIMIT :most
    FOR UPDATE SKIP LOCKED
  )
RETURNING api_key_secrets.api_key_id;

-- name: delete_expired_api_keys :many
-- Delete some of the keys that expired 30 days ago
DELETE FROM api_keys
WHERE
  api_keys.id IN (
    SELECT expired.id FROM api_keys AS expired
    WHERE expired.expires_at < now() - interval '30 days'
    LIMIT :most
    FOR UPDATE SKIP LOCKED
  )
RETURNING api_keys.id;

-- name: expire_api_key_secrets :exec
-- End the current secrets of a key after a grace period in seconds, or earlier if they end earlier
UPDATE api_key_secrets
SET expires_at = least(api_key_secrets.expires_at, now() + make_interval(secs => :grace))
WHERE api_key_secrets.api_key_id = :api_key_id;

-- name: lock_api_key :one ApiKey
-- One key, locked until the transaction ends
SELECT api_keys.* FROM api_keys WHERE api_keys.id = :id FOR UPDATE;

-- name: record_api_key_use :exec
-- Record the use of a key, at most once a minute
UPDATE api_keys SET last_used_at = now()
WHERE api_keys.id = :id AND is_stale(api_keys.last_used_at, interval '1 minute');

-- name: rotate_api_key :one ApiKey
-- Store the prefix of a key's new secret
UPDATE api_keys SET prefix = :prefix WHERE api_keys.id = :id RETURNING api_keys.*;

-- name: update_api_key :one ApiKey
-- Set the columns that `changes` names, to null too; the others keep their values
UPDATE api_keys
SET
  name = changed.name,
  permissions = changed.permissions,
  allowed_ips = changed.allowed_ips,
  expires_at = changed.expires_at
FROM api_keys AS present
CROSS JOIN LATERAL jsonb_populate_record(present, CAST(:changes AS jsonb)) AS changed
WHERE api_keys.id = :id AND present.id = api_keys.id
RETURNING api_keys.*;
