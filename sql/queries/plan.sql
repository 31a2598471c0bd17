-- name: clear_default_plan :many Plan
-- No plan is the default one any more; gives the plan that was
UPDATE plans SET is_default = false WHERE plans.is_default RETURNING plans.*;

-- name: create_plan :one Plan
-- A new plan
INSERT INTO plans (name, description, tier, is_default, limits)
VALUES (:name, :description, :tier, :is_default, CAST(:limits AS jsonb))
RETURNING plans.*;

-- name: default_plan :one Plan
-- The plan of those who get no other
SELECT plans.* FROM plans WHERE plans.is_default FOR SHARE;

-- name: delete_plan :one
-- The plan is gone; refused by the foreign key while somebody has it
DELETE FROM plans WHERE plans.id = :id RETURNING plans.id;

-- name: list_plans :many Plan
-- Every plan, oldest first
SELECT plans.* FROM plans ORDER BY plans.id;

-- name: lock_plan :one Plan
-- One plan, held until the transaction ends
SELECT plans.* FROM plans WHERE plans.id = :id FOR UPDATE;

-- name: plan_by_id :one Plan
-- One plan as it is now, kept from being changed until the transaction ends
SELECT plans.* FROM plans WHERE plans.id = :id FOR SHARE;

-- name: plan_by_name :one Plan
-- One plan by its name, ignoring case, kept from being changed until the transaction ends
SELECT plans.* FROM plans WHERE lower(plans.name) = lower(:name) FOR SHARE;

-- name: plans_by_id :many Plan
-- Plans by id
SELECT plans.id AS key, plans.* FROM plans WHERE plans.id = ANY (CAST(:keys AS uuid[]));

-- name: update_plan :one Plan
-- What `changes` names gets its value, null included; the rest stays
UPDATE plans
SET (name, description, tier, is_default, limits) = (
  SELECT name, description, tier, is_default, limits FROM jsonb_populate_record(plans, CAST(:changes AS jsonb))
)
WHERE plans.id = :id
RETURNING plans.*;
