"""Benchmarks. They compare times within one run, because absolute times differ between machines."""
