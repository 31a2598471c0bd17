"""Moving in and out: users of other systems are imported, and everything is exported as JSON lines."""
