-- name: types_by_id :many
-- The type of the object with each id; what its own statement hides, such as an ended session, is found as well
SELECT users.id AS key, 'User' AS type FROM users WHERE users.id = ANY(CAST(:keys AS uuid[]))
UNION ALL
SELECT roles.id, 'Role' FROM roles WHERE roles.id = ANY(CAST(:keys AS uuid[]))
UNION ALL
SELECT plans.id, 'Plan' FROM plans WHERE plans.id = ANY(CAST(:keys AS uuid[]))
UNION ALL
SELECT sessions.id, 'Session' FROM sessions WHERE sessions.id = ANY(CAST(:keys AS uuid[]))
UNION ALL
SELECT api_keys.id, 'ApiKey' FROM api_keys WHERE api_keys.id = ANY(CAST(:keys AS uuid[]))
UNION ALL
SELECT ssh_keys.id, 'SshKey' FROM ssh_keys WHERE ssh_keys.id = ANY(CAST(:keys AS uuid[]))
UNION ALL
SELECT servers.id, 'Server' FROM servers WHERE servers.id = ANY(CAST(:keys AS uuid[]))
UNION ALL
SELECT subusers.id, 'Subuser' FROM subusers WHERE subusers.id = ANY(CAST(:keys AS uuid[]))
UNION ALL
SELECT audit_events.id, 'AuditEvent' FROM audit_events WHERE audit_events.id = ANY(CAST(:keys AS uuid[]));
