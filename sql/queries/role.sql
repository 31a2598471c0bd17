-- name: create_role :one Role
-- A new role
INSERT INTO roles (name, description, permissions, require_two_factor)
VALUES (:name, :description, CAST(:permissions AS text[]), :require_two_factor)
RETURNING roles.*;

-- name: delete_role :one
-- The role is gone; refused by the foreign key while somebody has it
DELETE FROM roles WHERE roles.id = :id RETURNING roles.id;

-- name: list_roles :many Role
-- Every role, built-in ones first
SELECT roles.* FROM roles ORDER BY NOT roles.builtin, roles.id;

-- name: lock_role :one Role
-- One role, held until the transaction ends
SELECT roles.* FROM roles WHERE roles.id = :id FOR UPDATE;

-- name: role_by_id :one Role
-- One role as it is now, kept from being changed until the transaction ends
SELECT roles.* FROM roles WHERE roles.id = :id FOR SHARE;

-- name: role_by_name :one Role
-- One role by its name, ignoring case, kept from being changed until the transaction ends
SELECT roles.* FROM roles WHERE lower(roles.name) = lower(:name) FOR SHARE;

-- name: roles_by_id :many Role
-- Roles by id
SELECT roles.id AS key, roles.* FROM roles WHERE roles.id = ANY (CAST(:keys AS uuid[]));

-- name: update_role :one Role
-- What `changes` names gets its value, null included; the rest stays
UPDATE roles
SET (name, description, permissions, require_two_factor) = (
  SELECT name, description, permissions, require_two_factor FROM jsonb_populate_record(roles, CAST(:changes AS jsonb))
)
WHERE roles.id = :id
RETURNING roles.*;
