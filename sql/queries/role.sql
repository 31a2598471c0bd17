-- name: create_role :one Role
-- Create a role
INSERT INTO roles (name, description, permissions, require_two_factor)
VALUES (:name, :description, CAST(:permissions AS text[]), :require_two_factor)
RETURNING roles.*;

-- name: delete_role :one
-- Delete a role; the foreign key of its users prevents it while there are any
DELETE FROM roles WHERE roles.id = :id RETURNING roles.id;

-- name: list_roles :many Role
-- Every role, built-in roles first
SELECT roles.* FROM roles ORDER BY roles.builtin DESC, roles.id ASC;

-- name: lock_role :one Role
-- One role, locked until the transaction ends
SELECT roles.* FROM roles WHERE roles.id = :id FOR UPDATE;

-- name: role_by_key :one Role
-- One role by its id or its name; it cannot change until the transaction ends
SELECT roles.* FROM roles WHERE roles.id = CAST(:id AS uuid) OR fold(roles.name) = fold(:name) FOR SHARE;

-- name: role_name_is_taken :value
-- Whether another role has the name
SELECT EXISTS(SELECT FROM roles WHERE fold(roles.name) = fold(:value) AND roles.id IS DISTINCT FROM CAST(:id AS uuid));

-- name: roles_by_id :many Role
-- Roles by id
SELECT roles.id AS key, roles.* FROM roles WHERE roles.id = ANY(CAST(:keys AS uuid[]));

-- name: update_role :one Role
-- Set the columns that `changes` names, to null too; the others keep their values
UPDATE roles
SET
  name = changed.name,
  description = changed.description,
  permissions = changed.permissions,
  require_two_factor = changed.require_two_factor
FROM roles AS present
CROSS JOIN LATERAL jsonb_populate_record(present, CAST(:changes AS jsonb)) AS changed
WHERE roles.id = :id AND present.id = roles.id
RETURNING roles.*;
