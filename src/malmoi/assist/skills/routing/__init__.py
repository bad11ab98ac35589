"""The way of a query: which operation of the switched-on skills it is for, or none."""

from malmoi.assist.skills.routing.index import Demonstration, Embed
from malmoi.assist.skills.routing.router import Before, Choice, Router, Routing, choose_skills

__all__ = ["Before", "Choice", "Demonstration", "Embed", "Router", "Routing", "choose_skills"]
