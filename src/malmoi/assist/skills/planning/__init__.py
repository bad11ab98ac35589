"""The plan of a call: its arguments, from what was said, and what has still to be asked."""

from malmoi.assist.skills.planning.carried import ShownCard
from malmoi.assist.skills.planning.planner import Plan, Planner, PlanRequest
from malmoi.assist.skills.planning.thinking import SkillModel, Spent

__all__ = ["Plan", "PlanRequest", "Planner", "ShownCard", "SkillModel", "Spent"]
