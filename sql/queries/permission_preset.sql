-- name: create_permission_preset :one PermissionPreset
-- Create a preset
INSERT INTO permission_presets (name, description, permissions)
VALUES (:name, :description, CAST(:permissions AS text[]))
RETURNING permission_presets.*;

-- name: delete_permission_preset :one
-- Delete a preset; memberships have copies of its permissions
DELETE FROM permission_presets WHERE permission_presets.id = :id RETURNING permission_presets.id;

-- name: list_permission_presets :many PermissionPreset
-- Every preset, oldest first
SELECT permission_presets.* FROM permission_presets ORDER BY permission_presets.id;

-- name: lock_permission_preset :one PermissionPreset
-- One preset, locked until the transaction ends
SELECT permission_presets.* FROM permission_presets WHERE permission_presets.id = :id FOR UPDATE;

-- name: permission_preset_by_key :one PermissionPreset
-- One preset by its id; it cannot change until the transaction ends
SELECT permission_presets.* FROM permission_presets WHERE permission_presets.id = :id FOR SHARE;

-- name: permission_preset_name_is_taken :value
-- Whether another preset has the name
SELECT EXISTS(
  SELECT FROM permission_presets
  WHERE fold(permission_presets.name) = fold(:value) AND permission_presets.id IS DISTINCT FROM CAST(:id AS uuid)
);

-- name: permission_presets_by_id :many PermissionPreset
-- Presets by id
SELECT permission_presets.id AS key, permission_presets.* FROM permission_presets
WHERE permission_presets.id = ANY(CAST(:keys AS uuid[]));

-- name: update_permission_preset :one PermissionPreset
-- Set the columns that `changes` names, to null too; the others keep their values
UPDATE permission_presets
SET
  name = changed.name,
  description = changed.description,
  permissions = changed.permissions
FROM permission_presets AS present
CROSS JOIN LATERAL jsonb_populate_record(present, CAST(:changes AS jsonb)) AS changed
WHERE permission_presets.id = :id AND present.id = permission_presets.id
RETURNING permission_presets.*;
