"""PostgreSQL: connections, named statements, rows, loaders, and migrations."""
