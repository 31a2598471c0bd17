-- name: count_memberships_by_user :many
-- How many memberships in force each user has
SELECT subusers.user_id AS key, count(*) AS count
FROM subusers
WHERE subusers.user_id = ANY (CAST(:keys AS uuid[])) AND (subusers.until IS NULL OR subusers.until > now())
GROUP BY subusers.user_id;

-- name: count_subusers_by_server :many
-- How many subusers each server has
SELECT subusers.server_id AS key, count(*) AS count
FROM subusers
WHERE subusers.server_id = ANY (CAST(:keys AS uuid[])) AND (subusers.until IS NULL OR subusers.until > now())
GROUP BY subusers.server_id;

-- name: count_subusers_of_server :value
-- How many memberships in force the server has; run under the lock on the server
SELECT count(*) FROM subusers
WHERE subusers.server_id = :server_id AND (subusers.until IS NULL OR subusers.until > now());

-- name: create_subuser :one Subuser
-- A person on a server
INSERT INTO subusers (server_id, user_id, permissions, until)
VALUES (:server_id, :user_id, CAST(:permissions AS text[]), :until)
RETURNING subusers.*;

-- name: delete_expired_subuser :exec
-- A membership that has run out makes room for a new one
DELETE FROM subusers
WHERE subusers.server_id = :server_id AND subusers.user_id = :user_id AND subusers.until <= now();

-- name: delete_subuser :one
-- The membership; the account stays
DELETE FROM subusers WHERE subusers.id = :id RETURNING subusers.id;

-- name: lock_subuser :one Subuser
-- One membership in force, held until the transaction ends
SELECT subusers.* FROM subusers
WHERE subusers.id = :id AND (subusers.until IS NULL OR subusers.until > now())
FOR UPDATE;

-- name: memberships_by_user :many Subuser
-- Memberships in force of each user, newest first
SELECT keys.key, page.*
FROM unnest(CAST(:keys AS uuid[])) AS keys (key)
CROSS JOIN LATERAL (
  SELECT subusers.* FROM subusers
  WHERE subusers.user_id = keys.key
    AND (subusers.until IS NULL OR subusers.until > now())
    AND (CAST(:low AS uuid) IS NULL OR subusers.id > CAST(:low AS uuid))
    AND (CAST(:high AS uuid) IS NULL OR subusers.id < CAST(:high AS uuid))
  ORDER BY CASE WHEN CAST(:ascending AS boolean) THEN subusers.id END, subusers.id DESC
  LIMIT :limit
) AS page;

-- name: subusers_by_id :many Subuser
-- Memberships in force by id
SELECT subusers.id AS key, subusers.* FROM subusers
WHERE subusers.id = ANY (CAST(:keys AS uuid[])) AND (subusers.until IS NULL OR subusers.until > now());

-- name: subusers_by_server :many Subuser
-- Subusers of each server, newest first
SELECT keys.key, page.*
FROM unnest(CAST(:keys AS uuid[])) AS keys (key)
CROSS JOIN LATERAL (
  SELECT subusers.* FROM subusers
  WHERE subusers.server_id = keys.key
    AND (subusers.until IS NULL OR subusers.until > now())
    AND (CAST(:low AS uuid) IS NULL OR subusers.id > CAST(:low AS uuid))
    AND (CAST(:high AS uuid) IS NULL OR subusers.id < CAST(:high AS uuid))
  ORDER BY CASE WHEN CAST(:ascending AS boolean) THEN subusers.id END, subusers.id DESC
  LIMIT :limit
) AS page;

-- name: update_subuser :one Subuser
-- Another set of permissions, another end
UPDATE subusers
SET permissions = CAST(:permissions AS text[]), until = :until
WHERE subusers.id = :id
RETURNING subusers.*;
