-- name: apply_audit_retention :value
-- Delete some of the events of the months before the last `months` whole ones; the number of deleted events
SELECT delete_audit_events(:months, :most);

-- name: audit_events_by_id :many AuditEvent
-- Events by id
SELECT audit_events.id AS key, audit_events.* FROM audit_events WHERE audit_events.id = ANY(CAST(:keys AS uuid[]));

-- name: audit_events_by_user :list AuditEvent
-- Events that a user caused, and events on what belongs to the user
SELECT audit_events.* FROM audit_events WHERE audit_events.actor_id = :key
UNION ALL
SELECT audit_events.* FROM audit_events
WHERE audit_events.owner_id = :key AND audit_events.actor_id IS DISTINCT FROM :key;

-- name: create_audit_event :exec
-- Record an event; it is never changed afterwards
INSERT INTO audit_events (
  event, actor_id, impersonator_id, credential, target_type, target_id, owner_id, changes, ip, request_id
)
VALUES (
  :event, :actor_id, :impersonator_id, :credential, :target_type, :target_id, :owner_id, CAST(:changes AS jsonb), :ip,
  :request_id
);

-- name: list_audit_events :list AuditEvent
-- Events that match the filter. An id begins with its time, so times limit the ids, with an hour for clocks and waits
SELECT audit_events.* FROM audit_events
WHERE
  (:event IS NULL OR audit_events.event = ANY(CAST(:event AS text[])))
  AND (
    :event_prefix IS NULL
    OR audit_events.event = ANY(CAST(:names AS text[]))
    OR EXISTS (
      SELECT FROM unnest(CAST(:event_prefix AS text[])) AS prefixes (prefix)
      WHERE starts_with(audit_events.event, prefixes.prefix)
    )
  )
  AND (:actor_id IS NULL OR audit_events.actor_id = :actor_id)
  AND (:target_id IS NULL OR audit_events.target_id = :target_id)
  AND (:target_type IS NULL OR audit_events.target_type = :target_type)
  AND (:created_after IS NULL OR audit_events.created_at > :created_after)
  AND (:created_before IS NULL OR audit_events.created_at < :created_before)
  AND (
    :created_after IS NULL
    OR audit_events.id > uuid_v7_at(CAST(:created_after AS timestamptz) - interval '1 hour')
  )
  AND (
    :created_before IS NULL
    OR audit_events.id < uuid_v7_at(CAST(:created_before AS timestamptz) + interval '1 hour')
  );

-- name: lock_created_accounts :exec
-- Only one transaction at a time creates an account by an actor who may create few
SELECT pg_advisory_xact_lock(hashtextextended(CAST(:actor_id AS text), 1));

-- name: seconds_until_account :value
-- The seconds until an actor may create an account again; null if createSubuser made at most `before` in a day
SELECT extract(EPOCH FROM audit_events.created_at + interval '1 day' - now()) AS seconds
FROM audit_events
WHERE
  audit_events.actor_id = :actor_id
  AND audit_events.id > uuid_v7_at(now() - interval '25 hours')
  AND audit_events.created_at > now() - interval '1 day'
  AND audit_events.event = 'subuser.create'
  AND audit_events.changes ? 'user.username'
ORDER BY audit_events.id DESC
LIMIT 1 OFFSET :before;
