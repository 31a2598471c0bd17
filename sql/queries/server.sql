-- name: count_servers :value
-- How many servers there are
SELECT count(*) FROM servers;

-- name: count_servers_by_owner :many
-- How many servers each user owns
SELECT servers.owner_id AS key, count(*) AS count
FROM servers
WHERE servers.owner_id = ANY (CAST(:keys AS uuid[]))
GROUP BY servers.owner_id;

-- name: create_server :one Server
-- A new server
INSERT INTO servers (name, owner_id, external_id) VALUES (:name, :owner_id, :external_id) RETURNING servers.*;

-- name: delete_server :one
-- The server and, by the foreign key, its subusers
DELETE FROM servers WHERE servers.id = :id RETURNING servers.id;

-- name: delete_servers_by_owner :many
-- Every server that the user owns, with its subusers
DELETE FROM servers WHERE servers.owner_id = :owner_id RETURNING servers.id;

-- name: list_servers_asc :many Server unprepared
-- Servers between two ids, in their order
SELECT servers.* FROM servers
WHERE (CAST(:low AS uuid) IS NULL OR servers.id > CAST(:low AS uuid))
  AND (CAST(:high AS uuid) IS NULL OR servers.id < CAST(:high AS uuid))
ORDER BY servers.id
LIMIT :limit;

-- name: list_servers_desc :many Server unprepared
-- Servers between two ids, newest first
SELECT servers.* FROM servers
WHERE (CAST(:low AS uuid) IS NULL OR servers.id > CAST(:low AS uuid))
  AND (CAST(:high AS uuid) IS NULL OR servers.id < CAST(:high AS uuid))
ORDER BY servers.id DESC
LIMIT :limit;

-- name: lock_server :one Server
-- One server, held until the transaction ends
SELECT servers.* FROM servers WHERE servers.id = :id FOR UPDATE;

-- name: server_permissions :many
-- What the viewer holds on each server: `*` as its owner, else what a membership in force grants
SELECT servers.id AS key, CASE WHEN servers.owner_id = CAST(:viewer AS uuid) THEN '{*}' ELSE subusers.permissions END AS permissions,
  CASE WHEN servers.owner_id <> CAST(:viewer AS uuid) THEN subusers.until END AS until
FROM servers
LEFT JOIN subusers
  ON subusers.server_id = servers.id
  AND subusers.user_id = CAST(:viewer AS uuid)
  AND (subusers.until IS NULL OR subusers.until > now())
WHERE servers.id = ANY (CAST(:keys AS uuid[]))
  AND (servers.owner_id = CAST(:viewer AS uuid) OR subusers.id IS NOT NULL);

-- name: servers_by_id :many Server
-- Servers by id
SELECT servers.id AS key, servers.* FROM servers WHERE servers.id = ANY (CAST(:keys AS uuid[]));

-- name: servers_by_owner :many Server
-- Servers that each user owns, newest first
SELECT keys.key, page.*
FROM unnest(CAST(:keys AS uuid[])) AS keys (key)
CROSS JOIN LATERAL (
  SELECT servers.* FROM servers
  WHERE servers.owner_id = keys.key
    AND (CAST(:low AS uuid) IS NULL OR servers.id > CAST(:low AS uuid))
    AND (CAST(:high AS uuid) IS NULL OR servers.id < CAST(:high AS uuid))
  ORDER BY CASE WHEN CAST(:ascending AS boolean) THEN servers.id END, servers.id DESC
  LIMIT :limit
) AS page;
