-- name: count_servers_of_owner :value
-- The number of servers that a user owns; run it while the user is locked
SELECT count(*) FROM servers WHERE servers.owner_id = :owner_id;

-- name: create_server :one Server
-- Create a server, with an id of its own unless one is given
INSERT INTO servers (id, name, owner_id, external_id)
VALUES (coalesce(CAST(:id AS uuid), uuid_v7()), :name, :owner_id, :external_id)
RETURNING servers.*;

-- name: delete_server :one
-- Delete a server and, by the foreign key, its subusers
DELETE FROM servers WHERE servers.id = :id RETURNING servers.id;

-- name: delete_servers_by_owner :many
-- Delete every server that a user owns, with its subusers
DELETE FROM servers WHERE servers.owner_id = :owner_id RETURNING servers.id;

-- name: list_servers :list Server
-- Servers that match the search and the filter
SELECT servers.* FROM servers
WHERE
  (:search IS NULL OR fold(servers.name) LIKE search_pattern(CAST(:search AS text)))
  AND (:ids IS NULL OR servers.id = ANY(CAST(:ids AS uuid[])))
  AND (:owner_id IS NULL OR servers.owner_id = ANY(CAST(:owner_id AS uuid[])))
  AND (:external_id IS NULL OR servers.external_id = ANY(CAST(:external_id AS text[])));

-- name: lock_server :one Server
-- One server, locked until the transaction ends
SELECT servers.* FROM servers WHERE servers.id = :id FOR UPDATE;

-- name: server_external_id_is_taken :value
-- Whether another server has the external id
SELECT EXISTS(SELECT FROM servers WHERE servers.external_id = :value AND servers.id IS DISTINCT FROM CAST(:id AS uuid));

-- name: servers_by_id :many Server
-- Servers by id
SELECT servers.id AS key, servers.* FROM servers WHERE servers.id = ANY(CAST(:keys AS uuid[]));

-- name: servers_by_owner :list Server
-- Servers that a user owns
SELECT servers.* FROM servers WHERE servers.owner_id = :key;

-- name: shares_by_server :many
-- The viewer's share in each server: `*` as its owner, else the permissions and the end of a membership in force
SELECT
  servers.id AS key,
  CASE WHEN servers.owner_id = CAST(:viewer AS uuid) THEN '{*}' ELSE subusers.permissions END AS permissions,
  CASE WHEN servers.owner_id <> CAST(:viewer AS uuid) THEN subusers.until END AS until
FROM servers
LEFT JOIN subusers
  ON
    servers.id = subusers.server_id
    AND subusers.user_id = CAST(:viewer AS uuid)
    AND in_force(subusers.until)
WHERE
  servers.id = ANY(CAST(:keys AS uuid[]))
  AND (servers.owner_id = CAST(:viewer AS uuid) OR subusers.id IS NOT NULL);

-- name: transfer_server :one Server
-- Give a server to another owner
UPDATE servers SET owner_id = :owner_id WHERE servers.id = :id RETURNING servers.*;

-- name: update_server :one Server
-- Set the columns that `changes` names, to null too; the others keep their values
UPDATE servers
SET
  name = changed.name,
  external_id = changed.external_id
FROM servers AS present
CROSS JOIN LATERAL jsonb_populate_record(present, CAST(:changes AS jsonb)) AS changed
WHERE servers.id = :id AND present.id = servers.id
RETURNING servers.*;
