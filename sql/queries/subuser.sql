-- name: count_subusers :value
-- The number of memberships in force of a server; run it while the server is locked
SELECT count(*) FROM subusers WHERE subusers.server_id = :server_id AND in_force(subusers.until);

-- name: create_subuser :one Subuser
-- Give a user access to a server
INSERT INTO subusers (server_id, user_id, permissions, until)
VALUES (:server_id, :user_id, CAST(:permissions AS text[]), :until)
RETURNING subusers.*;

-- name: delete_expired_subuser :one Subuser
-- Delete a membership that expired, so that there can be a new one
DELETE FROM subusers
WHERE subusers.server_id = :server_id AND subusers.user_id = :user_id AND NOT in_force(subusers.until)
RETURNING subusers.*;

-- name: delete_subuser :one
-- Delete a membership; the user stays
DELETE FROM subusers WHERE subusers.id = :id RETURNING subusers.id;

-- name: delete_subusers_by_user :many Subuser
-- Delete the memberships that users have on a server, also expired ones
DELETE FROM subusers
WHERE subusers.server_id = :server_id AND subusers.user_id = ANY(CAST(:user_ids AS uuid[]))
RETURNING subusers.*;

-- name: is_subuser :value
-- Whether a user has a membership in force on a server
SELECT EXISTS(
  SELECT FROM subusers
  WHERE subusers.server_id = :server_id AND subusers.user_id = :user_id AND in_force(subusers.until)
);

-- name: lock_subuser :one Subuser
-- One membership in force, locked until the transaction ends
SELECT subusers.* FROM subusers WHERE subusers.id = :id AND in_force(subusers.until) FOR UPDATE;

-- name: lock_subusers_of_server :many
-- The memberships of a server, locked until the transaction ends, and whether each is in force
SELECT subusers.id, in_force(subusers.until) AS in_force
FROM subusers
WHERE subusers.server_id = :server_id
ORDER BY subusers.id
FOR UPDATE;

-- name: memberships_by_user :list Subuser
-- Memberships in force of a user
SELECT subusers.* FROM subusers WHERE subusers.user_id = :key AND in_force(subusers.until);

-- name: subusers_by_id :many Subuser
-- Memberships in force by id
SELECT subusers.id AS key, subusers.* FROM subusers
WHERE subusers.id = ANY(CAST(:keys AS uuid[])) AND in_force(subusers.until);

-- name: subusers_by_server :list Subuser
-- Memberships in force of a server
SELECT subusers.* FROM subusers WHERE subusers.server_id = :key AND in_force(subusers.until);

-- name: update_subuser :one Subuser
-- Replace the permissions and the end of a membership
UPDATE subusers
SET permissions = CAST(:permissions AS text[]), until = :until
WHERE subusers.id = :id
RETURNING subusers.*;
