"""Graders: how right an answer is, from 0 to 1. Evaluation averages grades, training is rewarded by them."""

from malmoi.tasks.graders.base import Grader, build_grader, grader_kinds

__all__ = ["Grader", "build_grader", "grader_kinds"]
