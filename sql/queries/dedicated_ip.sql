-- name: assign_dedicated_ip :one DedicatedIp
-- Assign an address to a user; no row if it belongs to a user already
INSERT INTO dedicated_ips (address, user_id, assigned_at) VALUES (:address, :user_id, now())
ON CONFLICT (address) DO UPDATE
  SET user_id = excluded.user_id, assigned_at = excluded.assigned_at
  WHERE dedicated_ips.user_id IS NULL
RETURNING dedicated_ips.*;

-- name: count_dedicated_ips :value
-- The number of a user's addresses; run it while the user is locked
SELECT count(*) FROM dedicated_ips WHERE dedicated_ips.user_id = :user_id;

-- name: dedicated_ip_by_address :one DedicatedIp
-- One address
SELECT dedicated_ips.* FROM dedicated_ips WHERE dedicated_ips.address = :address;

-- name: dedicated_ips_by_id :many DedicatedIp
-- Addresses by id
SELECT dedicated_ips.id AS key, dedicated_ips.* FROM dedicated_ips WHERE dedicated_ips.id = ANY(CAST(:keys AS uuid[]));

-- name: dedicated_ips_by_user :many DedicatedIp
-- The addresses of users
SELECT dedicated_ips.user_id AS key, dedicated_ips.* FROM dedicated_ips
WHERE dedicated_ips.user_id = ANY(CAST(:keys AS uuid[]))
ORDER BY dedicated_ips.address;

-- name: list_dedicated_ips :list DedicatedIp
-- Addresses that are assigned, or that are not
SELECT dedicated_ips.* FROM dedicated_ips
WHERE
  (:assigned IS NULL OR dedicated_ips.user_id IS NOT NULL)
  AND (:not_assigned IS NULL OR dedicated_ips.user_id IS NULL);

-- name: lock_dedicated_ip :one DedicatedIp
-- One address, locked until the transaction ends
SELECT dedicated_ips.* FROM dedicated_ips WHERE dedicated_ips.address = :address FOR UPDATE;

-- name: release_dedicated_ip :one DedicatedIp
-- Take an address from its user
UPDATE dedicated_ips SET user_id = NULL WHERE dedicated_ips.id = :id RETURNING dedicated_ips.*;
