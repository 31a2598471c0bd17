"""Realistic sample data, written by the command `seed`."""
