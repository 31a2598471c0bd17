-- name: claim_idempotency_key :one
-- Return a row to the first request with a key, for a day, or of the ledger for ever; others wait for its transaction
INSERT INTO idempotency_keys (actor_id, operation, key_hash, fingerprint)
VALUES (:actor_id, :operation, :key_hash, :fingerprint)
ON CONFLICT (actor_id, operation, key_hash) DO UPDATE
  SET fingerprint = excluded.fingerprint, result_id = NULL, created_at = now()
  WHERE idempotency_keys.operation <> 'adjustBalance' AND idempotency_keys.created_at < now() - interval '24 hours'
RETURNING idempotency_keys.created_at;

-- name: complete_idempotency_key :exec
-- Store the id of what the request created
UPDATE idempotency_keys SET result_id = :result_id
WHERE
  idempotency_keys.actor_id = :actor_id
  AND idempotency_keys.operation = :operation
  AND idempotency_keys.key_hash = :key_hash;

-- name: delete_old_idempotency_keys :many
-- Delete some of the keys after a day, except those of the ledger
DELETE FROM idempotency_keys
WHERE
  (idempotency_keys.actor_id, idempotency_keys.operation, idempotency_keys.key_hash) IN (
    SELECT old.actor_id, old.operation, old.key_hash FROM idempotency_keys AS old
    WHERE old.operation <> 'adjustBalance' AND old.created_at < now() - interval '24 hours'
    LIMIT :most
    FOR UPDATE SKIP LOCKED
  )
RETURNING idempotency_keys.created_at;

-- name: idempotency_key :one
-- The earlier request with a key, and the id of what it created
SELECT idempotency_keys.fingerprint, idempotency_keys.result_id
FROM idempotency_keys
WHERE
  idempotency_keys.actor_id = :actor_id
  AND idempotency_keys.operation = :operation
  AND idempotency_keys.key_hash = :key_hash;
