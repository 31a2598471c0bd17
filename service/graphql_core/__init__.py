"""Execution by graphql-core, for what the compiler declines: introspection."""
