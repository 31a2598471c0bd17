-- The deletion of one's own account, with a time in which it can be undone, and the erasing of personal data.

ALTER TABLE users ADD COLUMN deletion_scheduled_at timestamptz;
CREATE INDEX users_deletion_scheduled_at_idx ON users (deletion_scheduled_at) WHERE deletion_scheduled_at IS NOT NULL;

-- A person whose account will be erased acts as no other user.
CREATE OR REPLACE FUNCTION impersonation(impersonator uuid, by_session uuid, by_api_key uuid) RETURNS jsonb
LANGUAGE plpgsql STABLE
AS $$
BEGIN
  RETURN (
    SELECT
      jsonb_build_object(
        'permissions', roles.permissions,
        'scope', api_keys.permissions,
        'allowed_ips', api_keys.allowed_ips,
        'expires_at', api_keys.expires_at
      )
    FROM users
    INNER JOIN roles ON users.role_id = roles.id
    LEFT JOIN sessions ON sessions.id = by_session
    LEFT JOIN api_keys ON api_keys.id = by_api_key
    WHERE
      users.id = impersonator
      AND NOT is_suspended(users.suspended_at, users.suspended_until)
      AND users.deletion_scheduled_at IS NULL
      AND (users.two_factor_enabled OR NOT roles.require_two_factor)
      AND CASE
        WHEN by_api_key IS NULL THEN is_live(sessions.ended_at, sessions.expires_at, sessions.idle_expires_at)
        ELSE api_keys.id IS NOT NULL AND in_force(api_keys.expires_at)
      END
  );
END
$$;

CREATE OR REPLACE VIEW actors AS
SELECT
  session_tokens.hash AS actor_token_hash,
  users.id AS actor_user_id,
  users.role_id AS actor_role_id,
  roles.permissions AS actor_permissions,
  sessions.id AS actor_session_id,
  CAST(NULL AS uuid) AS actor_api_key_id,
  CAST(NULL AS text[]) AS actor_scope,
  CAST(NULL AS cidr[]) AS actor_allowed_ips,
  CAST(NULL AS timestamptz) AS actor_expires_at,
  FALSE AS actor_retiring,
  NOT is_live(sessions.ended_at, sessions.expires_at, sessions.idle_expires_at) AS actor_expired,
  is_suspended(users.suspended_at, users.suspended_until) AS actor_suspended,
  is_stale(
    sessions.last_seen_at, least(interval '1 minute', (sessions.idle_expires_at - sessions.last_seen_at) / 4)
  ) AS actor_stale,
  sessions.authenticated_at AS actor_authenticated_at,
  sessions.impersonator_id AS actor_impersonator_id,
  roles.require_two_factor AND NOT users.two_factor_enabled AS actor_two_factor_missing,
  CASE
    WHEN sessions.impersonator_id IS NOT NULL
      THEN impersonation(
        sessions.impersonator_id, sessions.impersonator_session_id, sessions.impersonator_api_key_id
      )
  END AS actor_impersonation,
  users.deletion_scheduled_at IS NOT NULL AS actor_leaving
FROM session_tokens
INNER JOIN sessions ON session_tokens.session_id = sessions.id
INNER JOIN users ON sessions.user_id = users.id
INNER JOIN roles ON users.role_id = roles.id
UNION ALL
SELECT
  api_key_secrets.hash AS actor_token_hash,
  users.id AS actor_user_id,
  users.role_id AS actor_role_id,
  roles.permissions AS actor_permissions,
  CAST(NULL AS uuid) AS actor_session_id,
  api_keys.id AS actor_api_key_id,
  api_keys.permissions AS actor_scope,
  api_keys.allowed_ips AS actor_allowed_ips,
  least(api_keys.expires_at, api_key_secrets.expires_at) AS actor_expires_at,
  api_key_secrets.expires_at IS NOT NULL AS actor_retiring,
  NOT in_force(least(api_keys.expires_at, api_key_secrets.expires_at)) AS actor_expired,
  is_suspended(users.suspended_at, users.suspended_until) AS actor_suspended,
  is_stale(api_keys.last_used_at, interval '1 minute') AS actor_stale,
  CAST(NULL AS timestamptz) AS actor_authenticated_at,
  CAST(NULL AS uuid) AS actor_impersonator_id,
  roles.require_two_factor AND NOT users.two_factor_enabled AS actor_two_factor_missing,
  CAST(NULL AS jsonb) AS actor_impersonation,
  users.deletion_scheduled_at IS NOT NULL AS actor_leaving
FROM api_key_secrets
INNER JOIN api_keys ON api_key_secrets.api_key_id = api_keys.id
INNER JOIN users ON api_keys.user_id = users.id
INNER JOIN roles ON users.role_id = roles.id;

-- The deleted users whose personal data is still in audit events. It is erased when `due` is true, or some time after
-- `deleted_at`. The events up to `last_event_id` are done.
CREATE TABLE erasures (
  user_id uuid CONSTRAINT erasures_pkey PRIMARY KEY,
  deleted_at timestamptz NOT NULL DEFAULT now(),
  due boolean NOT NULL,
  last_event_id uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000'
);
CREATE INDEX erasures_deleted_at_idx ON erasures (deleted_at);
INSERT INTO erasures (user_id, deleted_at, due)
SELECT
  audit_events.target_id AS user_id,
  max(audit_events.created_at) AS deleted_at,
  FALSE AS due
FROM audit_events
WHERE
  audit_events.event = 'user.delete'
  AND audit_events.target_id IS NOT NULL
  AND NOT EXISTS (SELECT FROM users WHERE users.id = audit_events.target_id)
GROUP BY audit_events.target_id;

-- Usernames of deleted users, as keyed hashes, which people may not choose for a time.
CREATE TABLE retired_usernames (
  hash bytea CONSTRAINT retired_usernames_pkey PRIMARY KEY,
  expires_at timestamptz NOT NULL
);
CREATE INDEX retired_usernames_expires_at_idx ON retired_usernames (expires_at);

CREATE INDEX audit_events_impersonator_id_idx ON audit_events (impersonator_id, id) WHERE impersonator_id IS NOT NULL;
CREATE INDEX mails_folded_recipient_idx ON mails (fold(recipient));

-- What no foreign key deletes with a user, whatever deletes the user: rows with the id or the address of the user.
CREATE FUNCTION forget_user() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
  DELETE FROM idempotency_keys WHERE idempotency_keys.actor_id = OLD.id;
  DELETE FROM mails WHERE fold(mails.recipient) = fold(OLD.email);
  DELETE FROM registrations WHERE fold(registrations.email) = fold(OLD.email);
  DELETE FROM one_time_tokens
  WHERE one_time_tokens.user_id IS NULL AND fold(one_time_tokens.data ->> 'email') = fold(OLD.email);
  INSERT INTO erasures (user_id, due) VALUES (OLD.id, coalesce(OLD.deletion_scheduled_at <= now(), FALSE))
  ON CONFLICT (user_id) DO UPDATE SET deleted_at = now(), due = excluded.due, last_event_id = DEFAULT;
  RETURN NULL;
END
$$;
CREATE TRIGGER users_forget AFTER DELETE ON users FOR EACH ROW EXECUTE FUNCTION forget_user();

-- What remains of a value that may be personal.
CREATE FUNCTION erased_value(value jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
  WHEN coalesce(jsonb_typeof(value), 'null') IN ('boolean', 'null') OR value = '"[redacted]"' THEN value
  ELSE '"[erased]"'
END;

-- The changes of an event without personal data: the names stay, with ids, permissions, booleans, and nulls. A name
-- that is not listed is taken for personal.
CREATE FUNCTION erased_changes(given jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN coalesce(
  (
    SELECT
      jsonb_object_agg(
        changed.name,
        CASE
          WHEN
            changed.name = ANY(ARRAY[
              'apiKeys', 'impersonatorId', 'memberships', 'ownerId', 'passkeys', 'permissions', 'planId', 'roleId',
              'serverId', 'servers', 'sessions', 'sshKeys', 'subusers', 'suspendedBy', 'tier', 'userId', 'walletId',
              'wallets'
            ])
            THEN changed.value
          ELSE jsonb_build_object(
            'old', erased_value(changed.value -> 'old'), 'new', erased_value(changed.value -> 'new')
          )
        END
      )
    FROM jsonb_each(given) AS changed (name, value) -- noqa: RF03
  ),
  '{}'
);

-- Whether an event has the address of a person: who caused it, or tried to sign in as this person. A user who acts as
-- another one is the cause.
CREATE FUNCTION is_caused_by(actor_id uuid, impersonator_id uuid, owner_id uuid, target_id uuid, person uuid)
RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
  WHEN impersonator_id IS NOT NULL THEN impersonator_id = person
  WHEN actor_id IS NOT NULL THEN actor_id = person
  ELSE coalesce(owner_id = person, FALSE) OR coalesce(target_id = person, FALSE)
END;

-- Erases the personal data of a deleted user from some of the events, the oldest first; the number of events it has
-- looked at. With the last one, the erasure is done. What others did to their own objects keeps its changes; where it
-- was the user who did it, the address goes.
CREATE FUNCTION erase_audit_events(person uuid, most integer) RETURNS integer
LANGUAGE plpgsql VOLATILE STRICT
AS $$
DECLARE
  after_id uuid;
  last_id uuid;
  found_events integer;
BEGIN
  SELECT erasures.last_event_id INTO after_id FROM erasures WHERE erasures.user_id = person FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'no erasure of this user is due' USING ERRCODE = 'insufficient_privilege';
  END IF;
  IF EXISTS (SELECT FROM users WHERE users.id = person) THEN -- restored with the same id
    DELETE FROM erasures WHERE erasures.user_id = person;
    RETURN 0;
  END IF;
  WITH found AS MATERIALIZED (
    SELECT linked.id FROM (
      (SELECT id FROM audit_events WHERE actor_id = person AND id > after_id ORDER BY id LIMIT most)
      UNION
      (SELECT id FROM audit_events WHERE owner_id = person AND id > after_id ORDER BY id LIMIT most)
      UNION
      (SELECT id FROM audit_events WHERE target_id = person AND id > after_id ORDER BY id LIMIT most)
      UNION
      (SELECT id FROM audit_events WHERE impersonator_id = person AND id > after_id ORDER BY id LIMIT most)
    ) AS linked
    ORDER BY linked.id
    LIMIT most
  ),

  erased AS (
    UPDATE audit_events AS event
    SET
      changes = CASE
        WHEN person IN (event.owner_id, event.target_id) THEN erased_changes(event.changes)
        ELSE event.changes
      END,
      ip = CASE WHEN NOT found.caused THEN event.ip END,
      request_id = CASE WHEN NOT found.caused THEN event.request_id END
    FROM (
      SELECT known.id, is_caused_by(known.actor_id, known.impersonator_id, known.owner_id, known.target_id, person)
        AS caused
      FROM audit_events AS known
      INNER JOIN found ON known.id = found.id
    ) AS found
    WHERE event.id = found.id
  )

  SELECT count(*), (SELECT latest.id FROM found AS latest ORDER BY latest.id DESC LIMIT 1)
  INTO found_events, last_id FROM found;
  IF found_events < most THEN
    DELETE FROM erasures WHERE erasures.user_id = person;
  ELSE
    UPDATE erasures SET last_event_id = last_id WHERE erasures.user_id = person;
  END IF;
  RETURN found_events;
END
$$;

-- SECURITY: events are never changed, and only `delete_audit_events` deletes them: the call stack must have it. In a
-- line of the stack it comes before any quote; the text of a statement comes after one. The current month and the one
-- before it are never deleted. Only `erase_audit_events` removes personal data, and it can do nothing else: what
-- happened, when, and to which ids stays, and no value is replaced by another one.
CREATE OR REPLACE FUNCTION reject_audit_change() RETURNS trigger
LANGUAGE plpgsql
AS $$
DECLARE
  stack text;
BEGIN
  GET DIAGNOSTICS stack = PG_CONTEXT;
  IF TG_OP = 'DELETE' THEN
    IF stack ~ '(?n)^[^"]*\mdelete_audit_events\(integer,integer\)' AND OLD.created_at < month_before(1) THEN
      RETURN OLD;
    END IF;
  ELSIF
    stack ~ '(?n)^[^"]*\merase_audit_events\(uuid,integer\)'
    AND NEW.changes IN (OLD.changes, erased_changes(OLD.changes))
    AND (NEW.ip IS NULL OR NEW.ip IS NOT DISTINCT FROM OLD.ip)
    AND (NEW.request_id IS NULL OR NEW.request_id IS NOT DISTINCT FROM OLD.request_id)
    AND to_jsonb(NEW) - '{changes,ip,request_id}'::text[] = to_jsonb(OLD) - '{changes,ip,request_id}'::text[]
  THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END
$$;
