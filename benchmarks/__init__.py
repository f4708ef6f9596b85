"""Measurements: ratios against the host in one run, never a part of the tests."""
