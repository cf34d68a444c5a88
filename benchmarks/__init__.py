"""Measurements, each a ratio or a time of one run; nothing here is asserted in tests."""
