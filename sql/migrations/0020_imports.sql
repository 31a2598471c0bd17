-- What was imported: the row of another system, and the object that was made of it. A later import of the same row
-- finds the object, and changes nothing. The row stays when the object is deleted, so that no import makes it again.

CREATE TABLE imported_rows (
  source text COLLATE "C" NOT NULL,
  kind text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  object_id uuid NOT NULL,
  CONSTRAINT imported_rows_pkey PRIMARY KEY (source, kind, key)
);
CREATE INDEX imported_rows_object_id_idx ON imported_rows (object_id);

-- The key of a deleted user, which may be a name or an address, is replaced by its hash, by which it is still found.
CREATE FUNCTION erased_key(key text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
RETURN 'sha256:' || encode(sha256(convert_to(key, 'UTF8')), 'hex');

CREATE FUNCTION forget_imported_user() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
  UPDATE imported_rows SET key = erased_key(imported_rows.key)
  WHERE imported_rows.object_id = OLD.id AND imported_rows.kind = 'user';
  RETURN NULL;
END
$$;
CREATE TRIGGER users_forget_import AFTER DELETE ON users FOR EACH ROW EXECUTE FUNCTION forget_imported_user();
