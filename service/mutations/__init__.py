"""What can be changed: one file per entity; each mutation is one function, in one transaction with its audit event."""
