"""Figures of speed: ratios measured in one run, for absolute times differ from machine to machine."""
