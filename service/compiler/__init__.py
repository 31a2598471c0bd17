"""The compiler: from a valid document to a plan."""
