-- name: id_was_used :value
-- Whether an object has an id, or had it before it was deleted: every object has an event, but those of the migrations
SELECT
  EXISTS (SELECT FROM users WHERE users.id = :id)
  OR EXISTS (SELECT FROM servers WHERE servers.id = :id)
  OR EXISTS (SELECT FROM plans WHERE plans.id = :id)
  OR EXISTS (SELECT FROM roles WHERE roles.id = :id)
  OR EXISTS (SELECT FROM wallets WHERE wallets.id = :id)
  OR EXISTS (SELECT FROM wallets WHERE wallets.owner_id = :id AND wallets.user_id IS NULL)
  OR EXISTS (SELECT FROM audit_events WHERE audit_events.target_id = :id)
  OR EXISTS (SELECT FROM audit_events WHERE audit_events.owner_id = :id)
  OR EXISTS (SELECT FROM audit_events WHERE audit_events.actor_id = :id);

-- name: types_by_id :many
-- The type of the object with each id; what its own statement hides, such as an ended session, is found as well
SELECT users.id AS key, 'User' AS type FROM users WHERE users.id = ANY(CAST(:keys AS uuid[]))
UNION ALL
SELECT roles.id AS key, 'Role' AS type FROM roles WHERE roles.id = ANY(CAST(:keys AS uuid[]))
UNION ALL
SELECT plans.id AS key, 'Plan' AS type FROM plans WHERE plans.id = ANY(CAST(:keys AS uuid[]))
UNION ALL
SELECT permission_presets.id AS key, 'PermissionPreset' AS type FROM permission_presets
WHERE permission_presets.id = ANY(CAST(:keys AS uuid[]))
UNION ALL
SELECT sessions.id AS key, 'Session' AS type FROM sessions WHERE sessions.id = ANY(CAST(:keys AS uuid[]))
UNION ALL
SELECT api_keys.id AS key, 'ApiKey' AS type FROM api_keys WHERE api_keys.id = ANY(CAST(:keys AS uuid[]))
UNION ALL
SELECT ssh_keys.id AS key, 'SshKey' AS type FROM ssh_keys WHERE ssh_keys.id = ANY(CAST(:keys AS uuid[]))
UNION ALL
SELECT passkeys.id AS key, 'Passkey' AS type FROM passkeys WHERE passkeys.id = ANY(CAST(:keys AS uuid[]))
UNION ALL
SELECT servers.id AS key, 'Server' AS type FROM servers WHERE servers.id = ANY(CAST(:keys AS uuid[]))
UNION ALL
SELECT subusers.id AS key, 'Subuser' AS type FROM subusers WHERE subusers.id = ANY(CAST(:keys AS uuid[]))
UNION ALL
SELECT wallets.id AS key, 'Wallet' AS type FROM wallets WHERE wallets.id = ANY(CAST(:keys AS uuid[]))
UNION ALL
SELECT wallet_entries.id AS key, 'WalletEntry' AS type FROM wallet_entries
WHERE wallet_entries.id = ANY(CAST(:keys AS uuid[]))
UNION ALL
SELECT dedicated_ips.id AS key, 'DedicatedIp' AS type FROM dedicated_ips
WHERE dedicated_ips.id = ANY(CAST(:keys AS uuid[]))
UNION ALL
SELECT plan_periods.id AS key, 'PlanPeriod' AS type FROM plan_periods WHERE plan_periods.id = ANY(CAST(:keys AS uuid[]))
UNION ALL
SELECT audit_events.id AS key, 'AuditEvent' AS type FROM audit_events
WHERE audit_events.id = ANY(CAST(:keys AS uuid[]));
