"""What was learnt, as training data: rewritten answers for SFT, pairs of replies for preference learning.

Both are JSON Lines with the provenance of each row. Annotators are named by pseudonym only.
"""

import json
from collections.abc import Iterable, Iterator
from itertools import combinations
from typing import Any

from malmoi import __version__
from malmoi.apps.redteam.findings import FoundSession, FoundTurn, ScoredReply


def sft_rows(sessions: Iterable[FoundSession]) -> Iterator[dict[str, Any]]:
    """`{"messages": [...], "provenance": {...}}`: each dialogue with the answer an annotator wrote for it."""
    for session in sessions:
        for turn in session.turns:
            for annotator, content in turn.rewrites.items():
                yield {
                    "messages": [*_messages(turn), {"role": "assistant", "content": content}],
                    "provenance": {**_provenance(session, turn), "kind": "rewrite", "annotator": annotator},
                }


def preference_rows(sessions: Iterable[FoundSession]) -> Iterator[dict[str, Any]]:
    """`{"prompt": [...], "chosen": [...], "rejected": [...], "provenance": {...}}` by mean overall score.

    Only annotators who scored both replies of a pair count. A tie makes no pair, nor do two equal texts.
    """
    for session in sessions:
        for turn in session.turns:
            for first, second in combinations(turn.replies, 2):
                shared = sorted(first.scores.keys() & second.scores.keys())
                if not shared or first.content.strip() == second.content.strip():
                    continue
                # Sums, not means: whole numbers tell a tie exactly.
                margin = sum(first.scores[who][1] - second.scores[who][1] for who in shared)
                if margin == 0:
                    continue
                chosen, rejected = (first, second) if margin > 0 else (second, first)
                yield {
                    "prompt": _messages(turn),
                    "chosen": [{"role": "assistant", "content": chosen.content}],
                    "rejected": [{"role": "assistant", "content": rejected.content}],
                    "provenance": {
                        **_provenance(session, turn),
                        "kind": "preference",
                        "annotators": shared,
                        "margin": abs(margin) / len(shared),
                        "chosen": _side(chosen, shared),
                        "rejected": _side(rejected, shared),
                    },
                }


def render_rows(rows: Iterable[dict[str, Any]]) -> bytes:
    """JSON Lines in UTF-8."""
    return "".join(json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n" for row in rows).encode()


def _messages(turn: FoundTurn) -> list[dict[str, str]]:
    return [{"role": role, "content": content} for role, content in turn.messages]


def _side(reply: ScoredReply, shared: list[str]) -> dict[str, Any]:
    return {
        "reply": reply.id,
        "model": reply.model,
        "harmlessness": [reply.scores[who][0] for who in shared],
        "overall": [reply.scores[who][1] for who in shared],
    }


def _provenance(session: FoundSession, turn: FoundTurn) -> dict[str, Any]:
    return {
        "source": "malmoi.redteam",
        "version": __version__,
        "session": session.id,
        "turn": turn.number,
        "topic": session.topic,
        "subtopic": session.subtopic,
        "strategy": session.strategy,
        "language": session.language,
        "finished_at": session.finished_at,
    }
