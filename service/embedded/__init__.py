"""The embedded PostgreSQL server, for installations that configure no database."""
