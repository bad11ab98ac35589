"""A judge reads conversations: scores from 1 to 10, or which of two is better. Any engine can judge."""

from malmoi.evals.judge.conversations import Conversation, hold_conversations
from malmoi.evals.judge.pairs import compare_conversations
from malmoi.evals.judge.questions import Question, read_questions
from malmoi.evals.judge.scores import judge_conversations
from malmoi.evals.judge.summary import PairSummary, ScoreSummary, summarise_pairs, summarise_scores

__all__ = [
    "Conversation",
    "PairSummary",
    "Question",
    "ScoreSummary",
    "compare_conversations",
    "hold_conversations",
    "judge_conversations",
    "read_questions",
    "summarise_pairs",
    "summarise_scores",
]
