"""Execution of plans, level by level."""
