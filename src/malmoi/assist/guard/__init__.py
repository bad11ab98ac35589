"""The guard of everything that the gateway and the apps answer: rules before models, sentence by sentence."""

from malmoi.assist.guard.answer import AnswerGuard
from malmoi.assist.guard.bestof import Gain, Moderation, gain, moderate
from malmoi.assist.guard.classifiers import Classifiers
from malmoi.assist.guard.guard import Checked, Guard
from malmoi.assist.guard.judge import Judge
from malmoi.assist.guard.policy import Policy, known_policies, load_policy
from malmoi.assist.guard.report import Entry, Report
from malmoi.assist.guard.verdict import Action, Direction, Reason, Verdict

__all__ = [
    "Action",
    "AnswerGuard",
    "Checked",
    "Classifiers",
    "Direction",
    "Entry",
    "Gain",
    "Guard",
    "Judge",
    "Moderation",
    "Policy",
    "Reason",
    "Report",
    "Verdict",
    "gain",
    "known_policies",
    "load_policy",
    "moderate",
]
