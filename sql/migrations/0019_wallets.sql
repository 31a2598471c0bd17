-- Wallets, and the ledger of their balances. A balance changes only by an entry, and an entry never changes.

-- `user_id` is null once the user is deleted: the wallet is then closed, and `owner_id` says whose it was. The foreign
-- key is deferrable, so that the wallets of new users can be copied before the users.
CREATE TABLE wallets (
  id uuid CONSTRAINT wallets_pkey PRIMARY KEY DEFAULT uuid_v7(),
  user_id uuid CONSTRAINT wallets_user_id_fkey REFERENCES users ON DELETE SET NULL DEFERRABLE,
  owner_id uuid NOT NULL,
  name text NOT NULL,
  is_default boolean NOT NULL DEFAULT FALSE,
  balance_msat bigint NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now(),
  closed_at timestamptz,
  CONSTRAINT wallets_balance_most CHECK (balance_msat <= 9007199254740991),
  CONSTRAINT wallets_balance_not_negative CHECK (balance_msat >= 0),
  CONSTRAINT wallets_closed_complete CHECK ((user_id IS NULL) = (closed_at IS NOT NULL)),
  CONSTRAINT wallets_name_length CHECK (char_length(name) BETWEEN 1 AND 255),
  CONSTRAINT wallets_owner_same CHECK (user_id = owner_id)
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX wallets_default_key ON wallets (user_id) WHERE is_default;
CREATE INDEX wallets_user_id_idx ON wallets (user_id, id);
CREATE INDEX wallets_closed_idx ON wallets (owner_id) WHERE user_id IS NULL;

-- No foreign keys to users: an entry outlives its owner and its actor. `apply_wallet_entry` sets the other columns.
CREATE TABLE wallet_entries (
  id uuid CONSTRAINT wallet_entries_pkey PRIMARY KEY,
  wallet_id uuid NOT NULL CONSTRAINT wallet_entries_wallet_id_fkey REFERENCES wallets,
  owner_id uuid NOT NULL,
  amount_msat bigint NOT NULL,
  balance_before_msat bigint NOT NULL,
  balance_after_msat bigint NOT NULL,
  reason text NOT NULL,
  actor_id uuid,
  created_at timestamptz NOT NULL,
  CONSTRAINT wallet_entries_amount_not_zero CHECK (amount_msat <> 0),
  CONSTRAINT wallet_entries_balance_after_consistent CHECK (balance_after_msat = balance_before_msat + amount_msat),
  CONSTRAINT wallet_entries_reason_length CHECK (char_length(reason) BETWEEN 1 AND 1024)
);
CREATE INDEX wallet_entries_wallet_id_idx ON wallet_entries (wallet_id, id);

-- Changes the balance by the amount of a new entry. The user is locked before the wallet, as by every write, so that
-- the entries of a user follow each other; the id and the time are those under the lock. A balance beyond its bounds
-- breaks a constraint of the wallet.
CREATE FUNCTION apply_wallet_entry() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
  PERFORM FROM users
  WHERE users.id = (SELECT wallets.user_id FROM wallets WHERE wallets.id = NEW.wallet_id)
  FOR NO KEY UPDATE;
  UPDATE wallets
  SET balance_msat = wallets.balance_msat + NEW.amount_msat
  WHERE wallets.id = NEW.wallet_id AND wallets.user_id IS NOT NULL
  RETURNING wallets.owner_id, wallets.balance_msat - NEW.amount_msat INTO NEW.owner_id, NEW.balance_before_msat;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the wallet is closed or does not exist'
      USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'wallet_entries_wallet_id_fkey';
  END IF;
  NEW.id := coalesce(NEW.id, uuid_v7());
  NEW.created_at := coalesce(NEW.created_at, clock_timestamp());
  NEW.balance_after_msat := coalesce(NEW.balance_after_msat, NEW.balance_before_msat + NEW.amount_msat);
  RETURN NEW;
END
$$;
CREATE TRIGGER wallet_entries_apply BEFORE INSERT ON wallet_entries
FOR EACH ROW EXECUTE FUNCTION apply_wallet_entry();

CREATE TRIGGER wallet_entries_append_only BEFORE UPDATE OR DELETE ON wallet_entries
FOR EACH ROW EXECUTE FUNCTION reject_change();
CREATE TRIGGER wallet_entries_no_truncate BEFORE TRUNCATE ON wallet_entries
FOR EACH STATEMENT EXECUTE FUNCTION reject_change();

-- SECURITY: without an entry a balance does not change (an update by the trigger of the ledger is at depth 2). A user
-- never loses the default wallet, and a wallet closes only with its user.
CREATE FUNCTION check_wallet_change() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
  IF NEW.balance_msat <> OLD.balance_msat AND pg_trigger_depth() < 2 THEN
    RAISE EXCEPTION 'a balance changes only by an entry' USING ERRCODE = 'insufficient_privilege';
  END IF;
  IF OLD.user_id IS NOT NULL AND NEW.user_id IS NULL THEN
    NEW.closed_at := now();
    NEW.name := 'Closed'; -- the person may have chosen a personal name
  END IF;
  IF
    (NEW.id, NEW.owner_id, NEW.is_default, NEW.created_at)
    IS DISTINCT FROM (OLD.id, OLD.owner_id, OLD.is_default, OLD.created_at)
    OR (
      NEW.user_id IS DISTINCT FROM OLD.user_id
      AND (NEW.user_id IS NOT NULL OR EXISTS (SELECT FROM users WHERE users.id = OLD.user_id))
    )
    OR (OLD.user_id IS NULL AND NEW IS DISTINCT FROM OLD)
  THEN
    RAISE EXCEPTION 'only the name of an open wallet changes' USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER wallets_check_change BEFORE UPDATE ON wallets
FOR EACH ROW EXECUTE FUNCTION check_wallet_change();
CREATE TRIGGER wallets_begin_empty BEFORE INSERT ON wallets
FOR EACH ROW WHEN (new.balance_msat <> 0) EXECUTE FUNCTION reject_change();
CREATE TRIGGER wallets_no_delete BEFORE DELETE ON wallets
FOR EACH ROW EXECUTE FUNCTION reject_change();
CREATE TRIGGER wallets_no_truncate BEFORE TRUNCATE ON wallets
FOR EACH STATEMENT EXECUTE FUNCTION reject_change();

-- The sum of a user's balances is a BigInt as well. The trigger of the ledger has locked the user.
CREATE FUNCTION check_wallets_total() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
  IF (SELECT sum(wallets.balance_msat) FROM wallets WHERE wallets.user_id = NEW.user_id) > 9007199254740991 THEN
    RAISE EXCEPTION 'the balance of the user is too large'
      USING ERRCODE = 'check_violation', CONSTRAINT = 'wallets_total_most';
  END IF;
  RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER wallets_total_most AFTER UPDATE OF balance_msat ON wallets
FOR EACH ROW WHEN (new.balance_msat > old.balance_msat) EXECUTE FUNCTION check_wallets_total();

-- A default wallet for every new user, however it is created: one statement creates those of all users of a COPY. It
-- creates none for a user whose default wallet was copied before.
CREATE FUNCTION create_default_wallets() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
  INSERT INTO wallets (user_id, owner_id, name, is_default)
  SELECT created.id AS user_id, created.id AS owner_id, 'Default' AS name, TRUE AS is_default FROM created
  ON CONFLICT (user_id) WHERE is_default DO NOTHING;
  RETURN NULL;
END
$$;
CREATE TRIGGER users_create_wallets AFTER INSERT ON users REFERENCING NEW TABLE AS created
FOR EACH STATEMENT EXECUTE FUNCTION create_default_wallets();

INSERT INTO wallets (user_id, owner_id, name, is_default)
SELECT users.id AS user_id, users.id AS owner_id, 'Default' AS name, TRUE AS is_default FROM users;

-- A user whose wallet has entries is not deleted with an unused invitation.
CREATE OR REPLACE FUNCTION is_unclaimed(id uuid) RETURNS boolean
LANGUAGE plpgsql VOLATILE STRICT
AS $$
BEGIN
  RETURN EXISTS (SELECT FROM users WHERE users.id = is_unclaimed.id AND users.last_login_at IS NULL)
    AND NOT EXISTS (SELECT FROM credentials WHERE credentials.user_id = is_unclaimed.id)
    AND NOT EXISTS (SELECT FROM servers WHERE servers.owner_id = is_unclaimed.id)
    AND NOT EXISTS (SELECT FROM api_keys WHERE api_keys.user_id = is_unclaimed.id)
    AND NOT EXISTS (SELECT FROM ssh_keys WHERE ssh_keys.user_id = is_unclaimed.id)
    AND NOT EXISTS (
      SELECT FROM wallets
      INNER JOIN wallet_entries ON wallets.id = wallet_entries.wallet_id
      WHERE wallets.user_id = is_unclaimed.id
    );
END
$$;

-- The idempotency keys of entries are kept for as long as the ledger, so that no repetition, however late, moves money.
DROP INDEX idempotency_keys_created_at_idx;
CREATE INDEX idempotency_keys_created_at_idx ON idempotency_keys (created_at) WHERE operation <> 'adjustBalance';

-- The role ADMIN holds every admin permission.
UPDATE roles SET permissions = permissions || '{wallets.adjust,wallets.read}'
WHERE id = '00000000-0000-7000-8000-000000000003' AND NOT permissions && '{wallets.adjust,wallets.read}';
