"""Damaged copies of every format: always a document or an error of ours, in little time and memory."""

import base64

import made_files
import pytest
from made_pdf import Line, pdf

from malmoi.assist.retrieval.parsing import known_formats
from malmoi.core import sandbox
from malmoi.core.sandbox import Limits

HERE = "parsing_in_child"
REASONS = {"document", "damaged", "empty", "unsupported", "encrypted", "locked", "too_large"}
LIMITS = Limits(seconds=55, cpu_seconds=40)


@pytest.fixture(scope="module")
def files() -> dict[str, tuple[str, bytes]]:
    pytest.importorskip("docx")
    pytest.importorskip("hwpx")
    pytest.importorskip("pypdfium2")
    return made_files.every_format()


@pytest.mark.parametrize("kind", sorted(set(known_formats()) - {"image"}))
@pytest.mark.parametrize("how", ["truncations", "mutations"])
def test_damage_never_crashes(how: str, kind: str, files: dict[str, tuple[str, bytes]]) -> None:
    name, content = files[kind]
    arguments = {"content": base64.b64encode(content).decode(), "name": name}
    times = {"cuts": 40} if how == "truncations" else {"times": 40}
    ends = sandbox.run(f"{HERE}:{how}", {**arguments, **times}, limits=LIMITS).value
    assert set(ends) <= REASONS, ends
    assert sum(ends.values()) >= 30


def test_memory_stays_small() -> None:
    rows = "\n".join(f"{n},가나다라,{n * 7},마바사아자차카" for n in range(40_000))
    pages = [
        [Line(f"{n}쪽의 {line}째 줄입니다.", y=780 - 16 * line) for line in range(40)] for n in range(100)
    ]
    for name, content in (("a.csv", rows.encode()), ("a.pdf", pdf(pages))):
        arguments = {"content": base64.b64encode(content).decode(), "name": name}
        used = sandbox.run(f"{HERE}:peak", arguments, limits=LIMITS).value
        assert used < 200 << 20
