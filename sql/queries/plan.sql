-- name: clear_default_plan :many Plan
-- Make no plan the default; return the plan that was
UPDATE plans SET is_default = FALSE WHERE plans.is_default RETURNING plans.*;

-- name: create_plan :one Plan
-- Create a plan
INSERT INTO plans (name, description, tier, is_default, limits)
VALUES (:name, :description, :tier, :is_default, CAST(:limits AS jsonb))
RETURNING plans.*;

-- name: default_plan :one Plan
-- The plan of users who are given no other; it cannot change until the transaction ends
SELECT plans.* FROM plans WHERE plans.is_default FOR SHARE;

-- name: delete_plan :one
-- Delete a plan; the foreign key of its users prevents it while there are any
DELETE FROM plans WHERE plans.id = :id RETURNING plans.id;

-- name: list_plans :many Plan
-- Every plan, oldest first
SELECT plans.* FROM plans ORDER BY plans.id;

-- name: lock_plan :one Plan
-- One plan, locked until the transaction ends
SELECT plans.* FROM plans WHERE plans.id = :id FOR UPDATE;

-- name: plan_by_key :one Plan
-- One plan by its id or its name; it cannot change until the transaction ends
SELECT plans.* FROM plans WHERE plans.id = CAST(:id AS uuid) OR fold(plans.name) = fold(:name) FOR SHARE;

-- name: plan_name_is_taken :value
-- Whether another plan has the name
SELECT EXISTS(SELECT FROM plans WHERE fold(plans.name) = fold(:value) AND plans.id IS DISTINCT FROM CAST(:id AS uuid));

-- name: plans_by_id :many Plan
-- Plans by id
SELECT plans.id AS key, plans.* FROM plans WHERE plans.id = ANY(CAST(:keys AS uuid[]));

-- name: update_plan :one Plan
-- Set the columns that `changes` names, to null too; the others keep their values
UPDATE plans
SET
  name = changed.name,
  description = changed.description,
  tier = changed.tier,
  is_default = changed.is_default,
  limits = changed.limits
FROM plans AS present
CROSS JOIN LATERAL jsonb_populate_record(present, CAST(:changes AS jsonb)) AS changed
WHERE plans.id = :id AND present.id = plans.id
RETURNING plans.*;
