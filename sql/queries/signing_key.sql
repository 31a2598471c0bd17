-- name: create_signing_key :value
-- Store a new key; return its id
INSERT INTO signing_keys (public_key, private_key) VALUES (:public_key, :private_key) RETURNING signing_keys.id;

-- name: current_signing_key :one
-- The key that signs, with the encrypted private key
SELECT signing_keys.id, signing_keys.public_key, signing_keys.private_key FROM signing_keys
WHERE signing_keys.retired_at IS NULL;

-- name: delete_retired_signing_keys :many
-- Delete some of the keys that retired longer ago than any token lives
DELETE FROM signing_keys
WHERE
  signing_keys.id IN (
    SELECT old.id FROM signing_keys AS old
    WHERE old.retired_at < now() - interval '1 hour'
    LIMIT :most
    FOR UPDATE SKIP LOCKED
  )
RETURNING signing_keys.id;

-- name: delete_signing_keys :many
-- Delete every key
DELETE FROM signing_keys RETURNING signing_keys.id;

-- name: encrypted_signing_keys :many
-- Some of the keys with an encrypted private key, in the order of their ids
SELECT signing_keys.id, signing_keys.private_key FROM signing_keys
WHERE signing_keys.id > :after AND signing_keys.private_key IS NOT NULL
ORDER BY signing_keys.id ASC
LIMIT 500;

-- name: lock_signing_keys :exec
-- Only one transaction at a time creates or replaces the key that signs
SELECT pg_advisory_xact_lock(hashtextextended('signing-keys', 0));

-- name: reencrypt_signing_key :one
-- Replace the ciphertext of a private key; no row if the key has retired in the meantime
UPDATE signing_keys SET private_key = :private_key
WHERE signing_keys.id = :id AND signing_keys.private_key = :old_private_key
RETURNING signing_keys.id;

-- name: retire_signing_key :one
-- Retire the key that signs, and forget its private key
UPDATE signing_keys SET retired_at = now(), private_key = NULL
WHERE signing_keys.retired_at IS NULL
RETURNING signing_keys.id;

-- name: signing_keys :many
-- Every key, the newest first, without private keys
SELECT signing_keys.id, signing_keys.public_key, signing_keys.retired_at FROM signing_keys
ORDER BY signing_keys.id DESC;
