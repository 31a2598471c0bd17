-- Lists whose cost does not depend on the number of users.

-- The text that a search looks through, kept in the row: to compute it takes twenty times as long as to compare it. A
-- generated column is not possible, because a trigger compares whole rows before generated columns are computed.
DROP INDEX users_search_idx;
ALTER TABLE users ADD COLUMN search_text text COLLATE "C";
ALTER TABLE users ALTER COLUMN search_text TYPE text COLLATE "C"
USING search_text(username, email, first_name, last_name, display_name);
ALTER TABLE users ALTER COLUMN search_text SET NOT NULL;

CREATE FUNCTION set_search_text() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
  NEW.search_text := search_text(NEW.username, NEW.email, NEW.first_name, NEW.last_name, NEW.display_name);
  RETURN NEW;
END
$$;
CREATE TRIGGER users_created_search_text BEFORE INSERT ON users
FOR EACH ROW EXECUTE FUNCTION set_search_text();
CREATE TRIGGER users_changed_search_text
BEFORE UPDATE OF username, email, first_name, last_name, display_name, search_text ON users
FOR EACH ROW
WHEN (
  (old.username, old.email, old.first_name, old.last_name, old.display_name, old.search_text)
  IS DISTINCT FROM (new.username, new.email, new.first_name, new.last_name, new.display_name, new.search_text)
)
EXECUTE FUNCTION set_search_text();

CREATE INDEX users_search_idx ON users USING gin (search_text gin_trgm_ops);

-- Every combination of these filters is one range of the index, or a few
CREATE INDEX users_filter_idx ON users (tier, two_factor_enabled, email_verified, created_at, id);

-- Users of a role or plan can all be old, so that the newest are far from the beginning of the list
CREATE INDEX users_role_id_created_at_idx ON users (role_id, created_at, id);
CREATE INDEX users_plan_id_created_at_idx ON users (plan_id, created_at, id);

-- Suspended users are few, and signed in long ago
DROP INDEX users_suspended_idx;
CREATE INDEX users_suspended_idx ON users (created_at, id) INCLUDE (suspended_at, suspended_until)
WHERE suspended_at IS NOT NULL;
CREATE INDEX users_suspended_last_login_at_idx ON users (coalesce(last_login_at, '-infinity'), id)
WHERE suspended_at IS NOT NULL;
