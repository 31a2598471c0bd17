"""Execution of GraphQL documents: parsing, validation, limits, and the executor."""
