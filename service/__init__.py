"""Roster: a GraphQL user-management service."""
