"""Malmoi: build, judge, run and use your own language model, Korean first."""

__version__ = "0.1.0"
