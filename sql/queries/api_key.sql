-- name: api_keys_by_id :many ApiKey
-- API keys by id
SELECT api_keys.id AS key, api_keys.* FROM api_keys WHERE api_keys.id = ANY (CAST(:keys AS uuid[]));

-- name: api_keys_by_user :many ApiKey
-- API keys of each user, newest first
SELECT keys.key, page.*
FROM unnest(CAST(:keys AS uuid[])) AS keys (key)
CROSS JOIN LATERAL (
  SELECT api_keys.* FROM api_keys
  WHERE api_keys.user_id = keys.key
    AND (CAST(:low AS uuid) IS NULL OR api_keys.id > CAST(:low AS uuid))
    AND (CAST(:high AS uuid) IS NULL OR api_keys.id < CAST(:high AS uuid))
  ORDER BY CASE WHEN CAST(:ascending AS boolean) THEN api_keys.id END, api_keys.id DESC
  LIMIT :limit
) AS page;

-- name: count_api_keys_by_user :many
-- How many API keys each user has
SELECT api_keys.user_id AS key, count(*) AS count
FROM api_keys
WHERE api_keys.user_id = ANY (CAST(:keys AS uuid[]))
GROUP BY api_keys.user_id;

-- name: count_api_keys_of_user :value
-- How many API keys the user has; run under the lock on the user
SELECT count(*) FROM api_keys WHERE api_keys.user_id = :user_id;

-- name: create_api_key :one ApiKey
-- A new key; its secret is kept apart
INSERT INTO api_keys (user_id, name, prefix, permissions, allowed_ips, expires_at)
VALUES (:user_id, :name, :prefix, CAST(:permissions AS text[]), CAST(:allowed_ips AS cidr[]), :expires_at)
RETURNING api_keys.*;

-- name: create_api_key_secret :exec
-- The hash by which the key is found
INSERT INTO api_key_secrets (hash, api_key_id) VALUES (:hash, :api_key_id);

-- name: delete_api_key :one
-- The key and its secrets
DELETE FROM api_keys WHERE api_keys.id = :id RETURNING api_keys.id;

-- name: delete_expired_secrets :exec
-- Old secrets of rotated keys whose grace is over
DELETE FROM api_key_secrets WHERE api_key_secrets.expires_at < now();

-- name: expire_api_key_secrets :exec
-- The secrets so far hold for the grace, in seconds, and never longer than before
UPDATE api_key_secrets
SET expires_at = least(api_key_secrets.expires_at, now() + make_interval(secs => :grace))
WHERE api_key_secrets.api_key_id = :api_key_id;

-- name: lock_api_key :one ApiKey
-- One key, held until the transaction ends
SELECT api_keys.* FROM api_keys WHERE api_keys.id = :id FOR UPDATE;

-- name: rotate_api_key :one ApiKey
-- The prefix of the new secret
UPDATE api_keys SET prefix = :prefix WHERE api_keys.id = :id RETURNING api_keys.*;

-- name: touch_api_key :exec
-- Used now; written at most once a minute
UPDATE api_keys SET last_used_at = now()
WHERE api_keys.id = :id
  AND (api_keys.last_used_at IS NULL OR api_keys.last_used_at < now() - interval '1 minute');

-- name: update_api_key :one ApiKey
-- What `changes` names gets its value, null included; the rest stays
UPDATE api_keys
SET (name, permissions, allowed_ips, expires_at) = (
  SELECT name, permissions, allowed_ips, expires_at FROM jsonb_populate_record(api_keys, CAST(:changes AS jsonb))
)
WHERE api_keys.id = :id
RETURNING api_keys.*;
