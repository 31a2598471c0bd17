-- name: audit_events_by_id :many AuditEvent
-- Events by id
SELECT audit_events.id AS key, audit_events.* FROM audit_events WHERE audit_events.id = ANY (CAST(:keys AS uuid[]));

-- name: audit_events_by_user :many AuditEvent
-- What each user did and what was done to theirs, newest first; each branch walks one index and stops at the limit
SELECT keys.key, page.*
FROM unnest(CAST(:keys AS uuid[])) AS keys (key)
CROSS JOIN LATERAL (
  SELECT audit_events.* FROM (
    (SELECT e.id FROM audit_events AS e
     WHERE NOT CAST(:ascending AS boolean) AND e.actor_id = keys.key
       AND (CAST(:low AS uuid) IS NULL OR e.id > CAST(:low AS uuid)) AND (CAST(:high AS uuid) IS NULL OR e.id < CAST(:high AS uuid))
     ORDER BY e.id DESC LIMIT :limit)
    UNION
    (SELECT e.id FROM audit_events AS e
     WHERE NOT CAST(:ascending AS boolean) AND e.owner_id = keys.key
       AND (CAST(:low AS uuid) IS NULL OR e.id > CAST(:low AS uuid)) AND (CAST(:high AS uuid) IS NULL OR e.id < CAST(:high AS uuid))
     ORDER BY e.id DESC LIMIT :limit)
    UNION
    (SELECT e.id FROM audit_events AS e
     WHERE CAST(:ascending AS boolean) AND e.actor_id = keys.key
       AND (CAST(:low AS uuid) IS NULL OR e.id > CAST(:low AS uuid)) AND (CAST(:high AS uuid) IS NULL OR e.id < CAST(:high AS uuid))
     ORDER BY e.id LIMIT :limit)
    UNION
    (SELECT e.id FROM audit_events AS e
     WHERE CAST(:ascending AS boolean) AND e.owner_id = keys.key
       AND (CAST(:low AS uuid) IS NULL OR e.id > CAST(:low AS uuid)) AND (CAST(:high AS uuid) IS NULL OR e.id < CAST(:high AS uuid))
     ORDER BY e.id LIMIT :limit)
  ) AS found
  JOIN audit_events ON audit_events.id = found.id
  ORDER BY CASE WHEN CAST(:ascending AS boolean) THEN audit_events.id END, audit_events.id DESC
  LIMIT :limit
) AS page;

-- name: count_audit_events :value unprepared
-- How many events fit the filter
SELECT count(*) FROM audit_events
WHERE (CAST(:event AS text) IS NULL OR event = :event)
  AND (CAST(:actor_id AS uuid) IS NULL OR actor_id = :actor_id)
  AND (CAST(:target_id AS uuid) IS NULL OR target_id = :target_id)
  AND (CAST(:after AS timestamptz) IS NULL OR created_at > :after)
  AND (CAST(:before AS timestamptz) IS NULL OR created_at < :before)
  -- An id begins with its time: so the walk starts near the window, an hour wide of it for transactions and clocks
  AND (CAST(:after AS timestamptz) IS NULL OR id > CAST(rpad(lpad(to_hex(greatest(CAST(extract(epoch FROM CAST(:after AS timestamptz) - interval '1 hour') * 1000 AS bigint), 0)), 12, '0'), 32, '0') AS uuid))
  AND (CAST(:before AS timestamptz) IS NULL OR id < CAST(rpad(lpad(to_hex(greatest(CAST(extract(epoch FROM CAST(:before AS timestamptz) + interval '1 hour') * 1000 AS bigint), 0)), 12, '0'), 32, '0') AS uuid));

-- name: count_audit_events_by_user :many
-- How many events each user did or was touched by
SELECT keys.key, count(*) AS count
FROM unnest(CAST(:keys AS uuid[])) AS keys (key)
JOIN audit_events ON audit_events.actor_id = keys.key OR audit_events.owner_id = keys.key
GROUP BY keys.key;

-- name: create_audit_event :exec
-- What was done; never changed afterwards
INSERT INTO audit_events (event, actor_id, credential, target_type, target_id, owner_id, changes, ip, request_id)
VALUES (:event, :actor_id, :credential, :target_type, :target_id, :owner_id, CAST(:changes AS jsonb), :ip, :request_id);

-- name: list_audit_events_asc :many AuditEvent unprepared
-- Events that fit the filter, between two ids, oldest first
SELECT audit_events.* FROM audit_events
WHERE (CAST(:event AS text) IS NULL OR event = :event)
  AND (CAST(:actor_id AS uuid) IS NULL OR actor_id = :actor_id)
  AND (CAST(:target_id AS uuid) IS NULL OR target_id = :target_id)
  AND (CAST(:after AS timestamptz) IS NULL OR created_at > :after)
  AND (CAST(:before AS timestamptz) IS NULL OR created_at < :before)
  -- An id begins with its time: so the walk starts near the window, an hour wide of it for transactions and clocks
  AND (CAST(:after AS timestamptz) IS NULL OR id > CAST(rpad(lpad(to_hex(greatest(CAST(extract(epoch FROM CAST(:after AS timestamptz) - interval '1 hour') * 1000 AS bigint), 0)), 12, '0'), 32, '0') AS uuid))
  AND (CAST(:before AS timestamptz) IS NULL OR id < CAST(rpad(lpad(to_hex(greatest(CAST(extract(epoch FROM CAST(:before AS timestamptz) + interval '1 hour') * 1000 AS bigint), 0)), 12, '0'), 32, '0') AS uuid))
  AND (CAST(:low AS uuid) IS NULL OR id > CAST(:low AS uuid))
  AND (CAST(:high AS uuid) IS NULL OR id < CAST(:high AS uuid))
ORDER BY id
LIMIT :limit;

-- name: list_audit_events_desc :many AuditEvent unprepared
-- Events that fit the filter, between two ids, newest first
SELECT audit_events.* FROM audit_events
WHERE (CAST(:event AS text) IS NULL OR event = :event)
  AND (CAST(:actor_id AS uuid) IS NULL OR actor_id = :actor_id)
  AND (CAST(:target_id AS uuid) IS NULL OR target_id = :target_id)
  AND (CAST(:after AS timestamptz) IS NULL OR created_at > :after)
  AND (CAST(:before AS timestamptz) IS NULL OR created_at < :before)
  -- An id begins with its time: so the walk starts near the window, an hour wide of it for transactions and clocks
  AND (CAST(:after AS timestamptz) IS NULL OR id > CAST(rpad(lpad(to_hex(greatest(CAST(extract(epoch FROM CAST(:after AS timestamptz) - interval '1 hour') * 1000 AS bigint), 0)), 12, '0'), 32, '0') AS uuid))
  AND (CAST(:before AS timestamptz) IS NULL OR id < CAST(rpad(lpad(to_hex(greatest(CAST(extract(epoch FROM CAST(:before AS timestamptz) + interval '1 hour') * 1000 AS bigint), 0)), 12, '0'), 32, '0') AS uuid))
  AND (CAST(:low AS uuid) IS NULL OR id > CAST(:low AS uuid))
  AND (CAST(:high AS uuid) IS NULL OR id < CAST(:high AS uuid))
ORDER BY id DESC
LIMIT :limit;
