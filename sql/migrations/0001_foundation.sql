-- Keys, triggers and functions that every table leans on.

CREATE EXTENSION IF NOT EXISTS pg_trgm;

-- UUID version 7 (RFC 9562, section 5.7): 48 bits of milliseconds, 12 bits of their fraction (section 6.2, method 3), 62 random bits.
-- PostgreSQL 18 has uuidv7(); 15 to 17 have not.
CREATE FUNCTION uuid_v7() RETURNS uuid
LANGUAGE sql VOLATILE PARALLEL SAFE
AS $$
  SELECT CAST(encode(
    substring(int8send(micros / 1000) FROM 3)
      || substring(int8send(28672 + (micros % 1000) * 4096 / 1000) FROM 7)
      || set_bit(set_bit(substring(uuid_send(gen_random_uuid()) FROM 9), 7, 1), 6, 0),
    'hex') AS uuid)
  FROM (SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint) AS micros) AS instant
$$;

-- Counts the version that optimistic writers compare; a login is no change of the account.
CREATE FUNCTION count_version() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
  IF to_jsonb(NEW) - 'last_login_at' IS DISTINCT FROM to_jsonb(OLD) - 'last_login_at' THEN
    NEW.version := OLD.version + 1;
    NEW.updated_at := now();
  END IF;
  RETURN NEW;
END
$$;

CREATE FUNCTION refuse_change() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
  RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END
$$;

-- What a search looks through; one function, so that the index and the statements cannot differ.
CREATE FUNCTION search_text(username text, email text, first_name text, last_name text, display_name text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
  SELECT lower(coalesce(username, '') || E'\n' || coalesce(email, '') || E'\n'
    || coalesce(first_name, '') || ' ' || coalesce(last_name, '') || E'\n' || coalesce(display_name, ''))
$$;
