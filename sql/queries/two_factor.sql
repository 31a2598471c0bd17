-- name: consume_recovery_code :one
-- Use a recovery code, which is then gone; no row if it is wrong or was used
DELETE FROM recovery_codes
WHERE recovery_codes.user_id = :user_id AND recovery_codes.hash = :hash
RETURNING recovery_codes.user_id;

-- name: create_recovery_codes :exec
-- Store the hashes of new recovery codes
INSERT INTO recovery_codes (user_id, hash)
SELECT CAST(:user_id AS uuid) AS user_id, given.hash FROM unnest(CAST(:digests AS bytea[])) AS given (hash);

-- name: delete_recovery_codes :many
-- Delete the recovery codes of a user
DELETE FROM recovery_codes WHERE recovery_codes.user_id = :user_id RETURNING recovery_codes.user_id;

-- name: delete_two_factor_secret :one
-- Delete the secrets of an authenticator app, also one that is not confirmed; no row if there are none
DELETE FROM two_factor_secrets WHERE two_factor_secrets.user_id = :user_id RETURNING two_factor_secrets.user_id;

-- name: encrypted_two_factor_secrets :many
-- Some of the encrypted secrets of authenticator apps, in the order of the users
SELECT two_factor_secrets.user_id AS id, two_factor_secrets.secret, two_factor_secrets.pending_secret
FROM two_factor_secrets
WHERE two_factor_secrets.user_id > :after
ORDER BY two_factor_secrets.user_id ASC
LIMIT 500;

-- name: factors_of_user :one
-- The factors of a user, and whether the role requires one; run it while the user is locked
SELECT
  roles.require_two_factor AS required,
  EXISTS(
    SELECT FROM two_factor_secrets WHERE two_factor_secrets.user_id = users.id AND two_factor_secrets.secret IS NOT NULL
  ) AS totp,
  (SELECT count(*) FROM passkeys WHERE passkeys.user_id = users.id) AS passkeys,
  (SELECT count(*) FROM recovery_codes WHERE recovery_codes.user_id = users.id) AS recovery_codes
FROM users
INNER JOIN roles ON users.role_id = roles.id
WHERE users.id = :id;

-- name: record_totp_step :one
-- Use the code of a time step, which makes it and all earlier ones invalid; no row if it was used
UPDATE two_factor_secrets
SET last_step = :step
WHERE
  two_factor_secrets.user_id = :user_id
  AND two_factor_secrets.secret = :secret
  AND (two_factor_secrets.last_step < :step OR two_factor_secrets.last_step IS NULL)
RETURNING two_factor_secrets.user_id;

-- name: reencrypt_two_factor_secret :one
-- Replace the ciphertexts of a user's secrets; no row if they were changed in the meantime
UPDATE two_factor_secrets
SET secret = :secret, pending_secret = :pending_secret
WHERE
  two_factor_secrets.user_id = :id
  AND two_factor_secrets.secret IS NOT DISTINCT FROM CAST(:old_secret AS bytea)
  AND two_factor_secrets.pending_secret IS NOT DISTINCT FROM CAST(:old_pending_secret AS bytea)
RETURNING two_factor_secrets.user_id;

-- name: set_confirmed_secret :one
-- Put the pending secret into use, with the time step of the code that confirmed it; no row if it was replaced
UPDATE two_factor_secrets
SET secret = two_factor_secrets.pending_secret, pending_secret = NULL, pending_until = NULL, last_step = :step
WHERE two_factor_secrets.user_id = :user_id AND two_factor_secrets.pending_secret = :pending_secret
RETURNING two_factor_secrets.user_id;

-- name: set_pending_secret :exec
-- Store an encrypted secret that can be confirmed for `lifetime` seconds; the secret in use stays valid
INSERT INTO two_factor_secrets (user_id, pending_secret, pending_until)
VALUES (:user_id, :pending_secret, now() + make_interval(secs => :lifetime))
ON CONFLICT (user_id) DO UPDATE
  SET pending_secret = excluded.pending_secret, pending_until = excluded.pending_until;

-- name: two_factor_secret :one
-- The encrypted secrets of a user's authenticator app, and the time by the clock that all workers share
SELECT
  two_factor_secrets.secret,
  CASE WHEN two_factor_secrets.pending_until > now() THEN two_factor_secrets.pending_secret END AS pending_secret,
  CAST(extract(EPOCH FROM clock_timestamp()) AS float8) AS clock
FROM two_factor_secrets
WHERE two_factor_secrets.user_id = :user_id;
