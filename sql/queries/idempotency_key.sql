-- name: claim_idempotency_key :one
-- Gives a row to the first who comes with the key; who comes at the same moment waits for the first one's transaction
INSERT INTO idempotency_keys (actor_id, operation, key_hash, fingerprint)
VALUES (:actor_id, :operation, :key_hash, :fingerprint)
ON CONFLICT (actor_id, operation, key_hash) DO UPDATE
SET fingerprint = excluded.fingerprint, result_id = NULL, created_at = now()
WHERE idempotency_keys.created_at < now() - interval '24 hours'
RETURNING idempotency_keys.created_at;

-- name: delete_old_idempotency_keys :exec
-- Keys are remembered for a day
DELETE FROM idempotency_keys WHERE idempotency_keys.created_at < now() - interval '24 hours';

-- name: idempotency_key :one
-- What was asked with the key before, and what came of it
SELECT idempotency_keys.fingerprint, idempotency_keys.result_id
FROM idempotency_keys
WHERE idempotency_keys.actor_id = :actor_id AND idempotency_keys.operation = :operation AND idempotency_keys.key_hash = :key_hash;

-- name: settle_idempotency_key :exec
-- What came of the request with the key
UPDATE idempotency_keys SET result_id = :result_id
WHERE idempotency_keys.actor_id = :actor_id AND idempotency_keys.operation = :operation AND idempotency_keys.key_hash = :key_hash;
