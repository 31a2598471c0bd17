-- name: attribute_plan :exec
-- Say who changes the plans of users in this transaction, for their history
SELECT set_config('roster.actor_id', :actor_id, TRUE);

-- name: plan_periods_by_id :many PlanPeriod
-- Periods of plans by id
SELECT plan_periods.id AS key, plan_periods.* FROM plan_periods WHERE plan_periods.id = ANY(CAST(:keys AS uuid[]));

-- name: plan_periods_by_user :list PlanPeriod
-- The plans that a user had and has
SELECT plan_periods.* FROM plan_periods WHERE plan_periods.user_id = :key;
