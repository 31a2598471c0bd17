-- The audit log, and the requests that were already answered.

-- No foreign keys: an event outlives the users and objects that it names.
CREATE TABLE audit_events (
  id uuid CONSTRAINT audit_events_pkey PRIMARY KEY DEFAULT uuid_v7(),
  event text COLLATE "C" NOT NULL,
  actor_id uuid,
  impersonator_id uuid,
  credential text,
  target_type text COLLATE "C",
  target_id uuid,
  owner_id uuid,
  changes jsonb NOT NULL DEFAULT '{}',
  ip inet,
  request_id text,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX audit_events_actor_id_idx ON audit_events (actor_id, id);
CREATE INDEX audit_events_owner_id_idx ON audit_events (owner_id, id);
CREATE INDEX audit_events_target_id_idx ON audit_events (target_id, id);
CREATE INDEX audit_events_event_idx ON audit_events (event, id);

CREATE TRIGGER audit_events_append_only BEFORE UPDATE OR DELETE ON audit_events
FOR EACH ROW EXECUTE FUNCTION reject_change();
CREATE TRIGGER audit_events_no_truncate BEFORE TRUNCATE ON audit_events
FOR EACH STATEMENT EXECUTE FUNCTION reject_change();

CREATE TABLE idempotency_keys (
  actor_id uuid NOT NULL,
  operation text NOT NULL,
  key_hash bytea NOT NULL,
  fingerprint bytea NOT NULL,
  result_id uuid,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT idempotency_keys_pkey PRIMARY KEY (actor_id, operation, key_hash)
);
CREATE INDEX idempotency_keys_created_at_idx ON idempotency_keys (created_at);
