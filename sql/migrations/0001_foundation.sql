-- Functions and types that the tables depend on.

CREATE EXTENSION IF NOT EXISTS pg_trgm;

-- Case conversion that does not depend on the locale of the database.
DO $$
BEGIN
  IF current_setting('server_version_num')::int >= 170000 THEN
    CREATE COLLATION roster (provider = builtin, locale = 'C.UTF-8');
  ELSE
    CREATE COLLATION roster (provider = icu, locale = 'und');
  END IF;
END
$$;

-- The form in which names and addresses are compared and searched: NFKC, without case. Upper-case letters that share a
-- lower-case letter stay apart: the dotted capital I (U+0130) is not an i. The two small sigmas are one letter.
CREATE FUNCTION fold(value text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN translate(
  lower(replace(normalize(value, nfkc), U&'\0130', U&'i\0307') COLLATE roster), U&'\03C2', U&'\03C3'
);

-- The pattern of LIKE for texts that contain a value.
CREATE FUNCTION search_pattern(value text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN '%' || replace(replace(replace(fold(value), '\', '\\'), '%', '\%'), '_', '\_') || '%';

-- UUID version 7 (RFC 9562, section 5.7): 48 bits of milliseconds, 12 bits of their fraction (section 6.2, method 3),
-- and 62 random bits. PostgreSQL 18 has uuidv7(), 15 to 17 do not.
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

-- The smallest UUID version 7 of a time, so that a range of times is a range of ids.
CREATE FUNCTION uuid_v7_at(instant timestamptz) RETURNS uuid
LANGUAGE sql STABLE STRICT PARALLEL SAFE
RETURN CAST(
  rpad(lpad(to_hex(greatest(CAST(extract(EPOCH FROM instant) * 1000 AS bigint), 0)), 12, '0'), 32, '0') AS uuid
);

-- Whether something is still valid that ends at a time, or never.
CREATE FUNCTION in_force(until timestamptz) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
RETURN until IS NULL OR until > now();

-- Whether a use should be recorded again; a use is recorded at most once per interval.
CREATE FUNCTION is_stale(recorded_at timestamptz, every interval) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
RETURN recorded_at IS NULL OR recorded_at < now() - every;

-- Increments the version that optimistic writers compare. A login does not change the version.
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

CREATE FUNCTION reject_change() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
  RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END
$$;
