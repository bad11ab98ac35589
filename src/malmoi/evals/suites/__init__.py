"""Suites: which tasks belong together, and how each is asked. One TOML file a suite."""

from malmoi.evals.suites.reading import Suite, SuiteTask, known_suites, read_suite

__all__ = ["Suite", "SuiteTask", "known_suites", "read_suite"]
