"""Scores that were asked for before: a study that was stopped goes on without asking again.

One JSON line a request, `{"key": sha256 of model, context and continuation, "logprob": x}`, appended as the
answers come. A line that a crash cut off is asked for again.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from malmoi.core.errors import EngineError
from malmoi.core.files import full
from malmoi.engine.base import Engine
from malmoi.evals.icl.wording import Pair

BATCH = 256
"""Requests between two writes."""


class ScoreLedger:
    """The scores of one model, in memory and in a file.

    Args:
        path: the file; its folder is made.
        model: what tells this model from others, such as the checksum of its file.
    """

    def __init__(self, path: Path, *, model: str) -> None:
        self._path = path
        self._model = model
        self._known: dict[str, float] = {}
        self.asked = 0
        """Requests that went to the engine."""
        if path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            for line in text.splitlines():
                self._remember(line)
            if text and not text.endswith("\n"):
                with path.open("a", encoding="utf-8") as file:
                    file.write("\n")  # so that the next line does not lengthen the one that was cut off

    def _remember(self, line: str) -> None:
        try:
            row = json.loads(line)
            self._known[str(row["key"])] = float(row["logprob"])
        except (ValueError, KeyError, TypeError):
            return

    async def score(self, engine: Engine, pairs: Sequence[Pair]) -> list[float]:
        """The log-probability of each continuation; the engine is asked for what is not known.

        Raises:
            ContextOverflow: a pair does not fit the model's context.
            EngineError: the engine's answer is not whole.
        """
        keys = [self._key(pair) for pair in pairs]
        wanted = {key: pair for key, pair in zip(keys, pairs, strict=True) if key not in self._known}
        rest = list(wanted)
        while rest:
            batch, rest = rest[:BATCH], rest[BATCH:]
            scores = await engine.score([wanted[key] for key in batch])
            if len(scores) != len(batch):
                raise EngineError(f"the engine gave {len(scores)} scores for {len(batch)} requests.")
            self.asked += len(scores)
            self._write({key: score.logprob for key, score in zip(batch, scores, strict=True)})
        return [self._known[key] for key in keys]

    def _write(self, found: dict[str, float]) -> None:
        lines = [json.dumps({"key": key, "logprob": value}) + "\n" for key, value in found.items()]
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write("".join(lines))
        except OSError as error:
            raise full(error, self._path) from error
        self._known |= found

    def _key(self, pair: Pair) -> str:
        return hashlib.sha256(json.dumps([self._model, *pair]).encode("utf-8")).hexdigest()
