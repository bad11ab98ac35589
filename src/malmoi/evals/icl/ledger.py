"""Scores of one model, kept as they come: a study that was stopped goes on without asking again."""

from collections.abc import Sequence

from malmoi.core.errors import EngineError
from malmoi.engine.base import Engine
from malmoi.evals.harness.ledger import Ledger, request_key
from malmoi.evals.icl.wording import Pair

BATCH = 256
"""Requests between two writes."""


class ScoreLedger:
    """Asks an engine for what its ledger does not hold.

    Args:
        ledger: the answers so far.
        model: what tells this model from others, such as the checksum of its file.
    """

    def __init__(self, ledger: Ledger, *, model: str) -> None:
        self._ledger = ledger
        self._model = model

    @property
    def asked(self) -> int:
        """Requests that went to the engine."""
        return self._ledger.added

    async def score(self, engine: Engine, pairs: Sequence[Pair]) -> list[float]:
        """The log-probability of each continuation.

        Raises:
            ContextOverflow: a pair does not fit the model's context.
            EngineError: the engine's answer is not whole.
        """
        keys = [request_key(self._model, "logprob", engine.info.kind, *pair) for pair in pairs]
        known = {key: row["logprob"] for key in keys if (row := self._ledger.get(key)) is not None}
        wanted = {key: pair for key, pair in zip(keys, pairs, strict=True) if key not in known}
        rest = list(wanted)
        while rest:
            batch, rest = rest[:BATCH], rest[BATCH:]
            scores = await engine.score([wanted[key] for key in batch])
            if len(scores) != len(batch):
                raise EngineError(f"the engine gave {len(scores)} scores for {len(batch)} requests.")
            found = {key: score.logprob for key, score in zip(batch, scores, strict=True)}
            self._ledger.add((key, {"logprob": value}) for key, value in found.items())
            known |= found
        return [known[key] for key in keys]
