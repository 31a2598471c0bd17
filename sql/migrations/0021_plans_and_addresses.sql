-- The history of the plans of users, and dedicated IP addresses.

-- What plan a user had from a time to another one. The plan has no foreign key, because the history outlives it; a
-- period without a plan has none. It is unknown since when users had the plans of before this table.
CREATE TABLE plan_periods (
  id uuid CONSTRAINT plan_periods_pkey PRIMARY KEY DEFAULT uuid_v7(),
  user_id uuid NOT NULL CONSTRAINT plan_periods_user_id_fkey REFERENCES users ON DELETE CASCADE,
  plan_id uuid,
  plan_name text COLLATE "C",
  changed_by uuid, -- not a foreign key: who changed the plan stays recorded after that user is deleted
  started_at timestamptz,
  ended_at timestamptz
);
CREATE UNIQUE INDEX plan_periods_current_key ON plan_periods (user_id) WHERE ended_at IS NULL;
CREATE INDEX plan_periods_user_id_idx ON plan_periods (user_id, id);

INSERT INTO plan_periods (user_id, plan_id, plan_name)
SELECT users.id AS user_id, plans.id AS plan_id, plans.name AS plan_name
FROM users
INNER JOIN plans ON users.plan_id = plans.id
ORDER BY users.id;

-- Ends the current period of a user, and begins the next one. It is a trigger, so that no way to change a plan can
-- leave it out. `attribute_plan` has stored who makes the change. The row of the user is locked, so that the periods of
-- the clock do not overlap; now() is when the transaction began.
CREATE FUNCTION record_plan() RETURNS trigger
LANGUAGE plpgsql
AS $$
DECLARE
  moment timestamptz := clock_timestamp();
BEGIN
  IF TG_OP = 'UPDATE' THEN
    UPDATE plan_periods SET ended_at = moment WHERE plan_periods.user_id = NEW.id AND plan_periods.ended_at IS NULL;
  END IF;
  INSERT INTO plan_periods (user_id, plan_id, plan_name, changed_by, started_at)
  VALUES (
    NEW.id,
    NEW.plan_id,
    (SELECT plans.name FROM plans WHERE plans.id = NEW.plan_id),
    CAST(nullif(current_setting('roster.actor_id', TRUE), '') AS uuid),
    moment
  );
  RETURN NULL;
END
$$;
CREATE TRIGGER users_record_first_plan AFTER INSERT ON users
FOR EACH ROW WHEN (new.plan_id IS NOT NULL) EXECUTE FUNCTION record_plan();
CREATE TRIGGER users_record_plan AFTER UPDATE OF plan_id ON users
FOR EACH ROW WHEN (old.plan_id IS DISTINCT FROM new.plan_id) EXECUTE FUNCTION record_plan();

-- Addresses that belong to one user each; a released address stays, to be assigned again. An address has one form: a
-- single host, and never IPv4 inside of IPv6.
CREATE TABLE dedicated_ips (
  id uuid CONSTRAINT dedicated_ips_pkey PRIMARY KEY DEFAULT uuid_v7(),
  address inet NOT NULL,
  user_id uuid CONSTRAINT dedicated_ips_user_id_fkey REFERENCES users ON DELETE SET NULL,
  assigned_at timestamptz,
  CONSTRAINT dedicated_ips_address_host CHECK (
    masklen(address) = CASE family(address) WHEN 4 THEN 32 ELSE 128 END
    AND NOT network_subeq(address, CAST('::ffff:0:0/96' AS inet))
  ),
  CONSTRAINT dedicated_ips_assignment_complete CHECK ((user_id IS NULL) = (assigned_at IS NULL))
);
CREATE UNIQUE INDEX dedicated_ips_address_key ON dedicated_ips (address);
CREATE INDEX dedicated_ips_user_id_idx ON dedicated_ips (user_id, id);
CREATE INDEX dedicated_ips_assigned_idx ON dedicated_ips (id) WHERE user_id IS NOT NULL;

-- The foreign key releases the addresses of a deleted user, and knows only its own column.
CREATE FUNCTION release_address() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
  NEW.assigned_at := NULL;
  RETURN NEW;
END
$$;
CREATE TRIGGER dedicated_ips_release BEFORE UPDATE ON dedicated_ips
FOR EACH ROW WHEN (new.user_id IS NULL) EXECUTE FUNCTION release_address();

-- The role ADMIN holds every admin permission.
UPDATE roles
SET
  permissions = permissions || ARRAY(
    SELECT added.name FROM unnest(ARRAY['ips.assign', 'ips.read']) AS added (name)
    WHERE added.name <> ALL(roles.permissions)
  )
WHERE id = '00000000-0000-7000-8000-000000000003';
