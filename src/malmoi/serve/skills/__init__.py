"""Skills on the server: which there are, who has switched on what, runs with their stages, and the audit."""

from malmoi.serve.skills.routes import skills_router
from malmoi.serve.skills.service import SkillRun, Skills, Stage
from malmoi.serve.skills.vectors import RoutingVectors

__all__ = ["RoutingVectors", "SkillRun", "Skills", "Stage", "skills_router"]
