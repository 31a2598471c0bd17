-- What the sender of mail and the clean-up need.

-- Why the last try to send a mail failed.
ALTER TABLE mails ADD COLUMN problem text;
CREATE INDEX mails_recipient_idx ON mails (recipient, template, created_at);
CREATE INDEX mails_done_at_idx ON mails (coalesce(sent_at, failed_at, created_at));

-- The users that an invitation to a server created, because no user had the address. Without a password and a login
-- until this time, the user is deleted.
CREATE TABLE invitations (
  user_id uuid CONSTRAINT invitations_pkey PRIMARY KEY
  CONSTRAINT invitations_user_id_fkey REFERENCES users (id) ON DELETE CASCADE,
  expires_at timestamptz NOT NULL
);
CREATE INDEX invitations_expires_at_idx ON invitations (expires_at);

-- Whether a user has never had a password, a login, a server, or a key. VOLATILE: after a lock it reads what was
-- committed before.
CREATE FUNCTION is_unclaimed(id uuid) RETURNS boolean
LANGUAGE plpgsql VOLATILE STRICT
AS $$
BEGIN
  RETURN EXISTS (SELECT FROM users WHERE users.id = is_unclaimed.id AND users.last_login_at IS NULL)
    AND NOT EXISTS (SELECT FROM credentials WHERE credentials.user_id = is_unclaimed.id)
    AND NOT EXISTS (SELECT FROM servers WHERE servers.owner_id = is_unclaimed.id)
    AND NOT EXISTS (SELECT FROM api_keys WHERE api_keys.user_id = is_unclaimed.id)
    AND NOT EXISTS (SELECT FROM ssh_keys WHERE ssh_keys.user_id = is_unclaimed.id);
END
$$;

-- The beginning of the month that is `months` whole months before the current one.
CREATE FUNCTION month_before(months integer) RETURNS timestamptz
LANGUAGE sql STABLE STRICT PARALLEL SAFE
RETURN (date_trunc('month', now() AT TIME ZONE 'UTC') - make_interval(months => months)) AT TIME ZONE 'UTC';

-- Deletes some of the events of the months before the last `months` whole ones, the oldest first, and returns their
-- number. An id begins with its time, so the times limit the ids, with an hour for clocks and waits.
CREATE FUNCTION delete_audit_events(months integer, most integer) RETURNS integer
LANGUAGE plpgsql VOLATILE STRICT
AS $$
DECLARE
  found_events integer;
BEGIN
  DELETE FROM audit_events
  WHERE audit_events.id IN (
    SELECT old.id FROM audit_events AS old
    WHERE old.id < uuid_v7_at(month_before(months) + interval '1 hour') AND old.created_at < month_before(months)
    ORDER BY old.id
    LIMIT most
  );
  GET DIAGNOSTICS found_events = ROW_COUNT;
  RETURN found_events;
END
$$;

-- SECURITY: events are never changed, and only `delete_audit_events` deletes them: the call stack must have it. In a
-- line of the stack it comes before any quote; the text of a statement comes after one. The current month and the one
-- before it are never deleted.
CREATE FUNCTION reject_audit_change() RETURNS trigger
LANGUAGE plpgsql
AS $$
DECLARE
  stack text;
BEGIN
  IF TG_OP = 'DELETE' THEN
    GET DIAGNOSTICS stack = PG_CONTEXT;
    IF stack ~ '(?n)^[^"]*\mdelete_audit_events\(integer,integer\)' AND OLD.created_at < month_before(1) THEN
      RETURN OLD;
    END IF;
  END IF;
  RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE OR REPLACE TRIGGER audit_events_append_only BEFORE UPDATE OR DELETE ON audit_events
FOR EACH ROW EXECUTE FUNCTION reject_audit_change();
