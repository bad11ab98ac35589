"""Documents that nobody wrote: Korean sentences of made-up nouns, always the same ones for a seed.

Nouns follow Zipf's law, as words of real texts do, so that common and rare words are looked up as often as
they would be.
"""

import random
from collections.abc import Iterator, Sequence

_SYLLABLES = (
    "가나다라마바사아자차카타파하고노도로모보소오조초코토포호"
    "구누두루무부수우주추쿠투푸후기니디리미비시이지치키티피히"
)
_PARTICLES = ("을", "를", "이", "가", "은", "는", "에서", "으로", "의", "와")
_VERBS = ("설정한다", "확인한다", "저장한다", "바꾼다", "보여 준다", "기다린다", "보낸다", "지운다")
_ENGLISH = ("server", "file", "index", "token", "table", "query", "cache", "model", "stream", "layer")
NOUNS = 6000
PASSAGES = 30
"""A document's."""
_SENTENCES = 9


class Author:
    """Writes documents.

    Args:
        seed: of everything.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311
        self.nouns = sorted(
            {
                "".join(self._random.choices(_SYLLABLES, k=self._random.choice((2, 2, 3))))
                for _ in range(NOUNS)
            }
        )
        self._random.shuffle(self.nouns)
        self._weights = [1 / (rank + 10) for rank in range(len(self.nouns))]

    def documents(self, count: int) -> Iterator[tuple[str, str]]:
        """Name and Markdown of documents, each of about `PASSAGES` passages."""
        for number in range(count):
            parts = [f"# {' '.join(self._chosen(2))} {number}"]
            for part in range(PASSAGES):
                if part % 6 == 0:
                    parts.append(f"## {' '.join(self._chosen(2))}")
                parts.append(" ".join(self.sentence() for _ in range(_SENTENCES)))
            yield f"{number:04}.md", "\n\n".join(parts)

    def questions(self, count: int) -> list[str]:
        """Questions of three or four nouns and an English word now and then."""
        asked = []
        for number in range(count):
            nouns = " ".join(noun + self._random.choice(_PARTICLES) for noun in self._chosen(3))
            english = f" {self._random.choice(_ENGLISH)}" if number % 3 == 0 else ""
            asked.append(
                f"{nouns}{english} 어떻게 {self._random.choice(('설정하나요', '바꾸나요', '보나요'))}?"
            )
        return asked

    def sentence(self) -> str:
        """One sentence, about fifty characters."""
        words = [noun + self._random.choice(_PARTICLES) for noun in self._chosen(6)]
        if self._random.random() < 0.5:
            words.insert(self._random.randrange(len(words)), self._random.choice(_ENGLISH))
        return f"{' '.join(words)} {self._random.choice(_VERBS)}."

    def _chosen(self, count: int) -> Sequence[str]:
        return self._random.choices(self.nouns, weights=self._weights, k=count)
