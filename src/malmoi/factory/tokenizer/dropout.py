"""BPE-dropout: the same text cut in other ways each time, to train models that do not cling to one.

At each step every possible merge is left out with probability `rate`; with 0 the result is that of the
tokenizer, with 1 single bytes. Off unless asked for: it makes text longer, and costs far more than encoding.

Source: Provilkov et al., "BPE-Dropout: Simple and Effective Subword Regularization", ACL 2020, algorithm 1.
"""

import random
from functools import cached_property

from malmoi.core.errors import InvalidInput, Unsupported
from malmoi.factory.tokenizer.splitting import Merge
from malmoi.factory.tokenizer.tokenizer import Tokenizer
from malmoi.factory.tokenizer.train import read_merges


class DropoutEncoder:
    """Encodes content with some merges left out.

    Args:
        tokenizer: a BPE tokenizer.
        rate: probability that a merge is left out; 0.1 is usual.
        seed: the same seed, text and occurrence give the same ids on every machine.

    Raises:
        InvalidInput: the rate is no probability.
        Unsupported: the tokenizer is not BPE with a pre-tokenizer.
    """

    def __init__(self, tokenizer: Tokenizer, *, rate: float, seed: int) -> None:
        if not 0 <= rate <= 1:
            raise InvalidInput(f"the dropout rate {rate} is not between 0 and 1.", field="rate")
        backend = tokenizer.backend
        if type(backend.model).__name__ != "BPE" or backend.pre_tokenizer is None:
            raise Unsupported(f"{tokenizer.name}: BPE-dropout needs a byte-level BPE tokenizer.")
        self._backend = backend
        self._rate = rate
        self._seed = seed

    def encode(self, text: str, occurrence: int = 0) -> list[int]:
        """The ids of content.

        Args:
            text: any text; control tokens in it stay text.
            occurrence: how often it has been read before (its epoch); each gives another cutting.
        """
        rng = random.Random(f"{self._seed}:{occurrence}:{text}")  # noqa: S311 - no secret
        normalizer = self._backend.normalizer
        normal = normalizer.normalize_str(text) if normalizer is not None else text
        ids: list[int] = []
        for word, _ in self._backend.pre_tokenizer.pre_tokenize_str(normal):
            ids.extend(self._backend.token_to_id(part) for part in self._cut(word, rng))
        return ids

    def _cut(self, word: str, rng: random.Random) -> list[str]:
        parts = list(word)
        while len(parts) > 1:
            best: tuple[int, int] | None = None
            for at in range(len(parts) - 1):
                rank = self._ranks.get((parts[at], parts[at + 1]))
                if rank is None or (self._rate and rng.random() < self._rate):
                    continue
                if best is None or (rank, at) < best:
                    best = (rank, at)
            if best is None:
                break
            at = best[1]
            parts[at : at + 2] = [parts[at] + parts[at + 1]]
        return parts

    @cached_property
    def _ranks(self) -> dict[Merge, int]:
        return {pair: rank for rank, pair in enumerate(read_merges(self._backend))}
