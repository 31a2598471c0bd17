-- What was imported: the row of another system, and the object that was made of it. A later import of the same row
-- finds the object, and changes nothing. The row stays when the object is deleted, so that no import makes it again.

CREATE TABLE imported_rows (
  source text COLLATE "C" NOT NULL,
  kind text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  object_id uuid NOT NULL,
  CONSTRAINT imported_rows_pkey PRIMARY KEY (source, kind, key)
);
