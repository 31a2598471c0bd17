-- name: consume_registration :one
-- Use a registration, which no other request can then use; no row if it is unknown, used, or expired
DELETE FROM registrations
WHERE registrations.hash = :hash AND registrations.expires_at > now()
RETURNING registrations.created_at;

-- name: create_registration :exec
-- Store a registration that waits for its confirmation, for `lifetime` seconds
INSERT INTO registrations (hash, email, columns, password_hash, expires_at)
VALUES (:hash, :email, CAST(:columns AS jsonb), :password_hash, now() + make_interval(secs => :lifetime));

-- name: delete_expired_registrations :many
-- Delete some of the registrations that were not confirmed in time
DELETE FROM registrations
WHERE
  registrations.hash IN (
    SELECT expired.hash FROM registrations AS expired
    WHERE expired.expires_at <= now()
    LIMIT :most
    FOR UPDATE SKIP LOCKED
  )
RETURNING registrations.created_at;

-- name: delete_registrations_by_email :exec
-- Delete the registrations with an address, which has an account now
DELETE FROM registrations WHERE fold(registrations.email) = fold(:email);

-- name: registration_by_hash :one
-- A registration that can still be used
SELECT registrations.email, registrations.columns, registrations.password_hash FROM registrations
WHERE registrations.hash = :hash AND registrations.expires_at > now();
