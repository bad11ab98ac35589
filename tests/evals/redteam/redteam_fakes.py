"""A classifier that knows one word, scripted models, and seeds."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from malmoi.engine.classify import LabelGroup, OperatingPoint


class WordClassifier:
    """An answer with the word 나쁜 is unsafe."""

    labels = ("safe", "unsafe", "not_sensitive", "sensitive")
    groups = (
        LabelGroup("sensitive", ("not_sensitive", "sensitive"), "not_sensitive"),
        LabelGroup(
            "safe",
            ("safe", "unsafe"),
            "safe",
            (OperatingPoint("precision_0.9", ("unsafe",), 0.6, 0.9, 0.8, 0.05),),
        ),
    )

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def predict(self, texts: Sequence[str], contexts: Sequence[str] | None = None) -> NDArray[np.float32]:
        assert contexts is not None
        self.seen += list(zip(contexts, texts, strict=True))
        rows = [[0.1, 0.9, 0.0, 1.0] if "나쁜" in text else [0.8, 0.2, 1.0, 0.0] for text in texts]
        return np.array(rows, dtype=np.float32).reshape(len(rows), 4)


SCRIPT = """
num_slots = 2
[[rules]]
when = "질문:$"
reply = [{replies}]
[[rules]]
contains = "7"
reply = "나쁜 답입니다."
[[rules]]
contains = "3"
reply = "죄송하지만 답변드릴 수 없습니다."
[[rules]]
contains = "자전거"
reply = "죄송하지만 답변드릴 수 없습니다."
[[rules]]
when = "."
reply = "좋은 답입니다."
"""


NOUNS = (
    "겨울 바다",
    "국어 시험",
    "동네 빵집",
    "여름 휴가",
    "지하철역",
    "중고 거래",
    "아침 운동",
    "저녁 뉴스",
)
VERBS = (
    "어떻게 시작하나요",
    "왜 사라졌을까",
    "누가 정하는 걸까",
    "언제 끝나나요",
    "얼마나 비싼가요",
    "무엇이 문제인가",
)


def write_script(path: Path) -> Path:
    """A scripted model that generates questions, and answers badly where a question has a 7."""
    replies = ", ".join(
        f'" {noun} {number} {verb}?"'
        for number, (noun, verb) in enumerate((noun, verb) for noun in NOUNS for verb in VERBS)
    )
    path.write_text(SCRIPT.replace("{replies}", replies), encoding="utf-8")
    return path


def write_seeds(path: Path, count: int = 12) -> Path:
    """A file of seed questions."""
    words = ("하늘은 왜 파란가", "사람은 왜 자는가", "물은 어디에서 오는가", "별은 몇 개인가")
    lines = [f"{words[number % 4]} 그리고 {number * 1111}번째 까닭은?" for number in range(count)]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path
