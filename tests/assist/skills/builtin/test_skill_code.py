"""The code skill: what ran, what was drawn, and what code that means harm cannot do."""

import platform
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest

from malmoi.assist.skills.builtin.code.picture import draw
from malmoi.assist.skills.builtin.code.provider import CodeProvider
from malmoi.assist.skills.operation import CallContext
from malmoi.core.errors import InvalidInput, NotFound

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


class OneDocument:
    """Documents of one account: a single table."""

    async def text(self, document_id):
        raise NotFound(f"no document {document_id!r}.")

    async def tables(self, document_id):
        if document_id != "mine":
            raise NotFound(f"no document {document_id!r}.")
        return [[["품목", "수량"], ["사과", "3"], ["배", "4"]]]


def context(language="ko", documents=None):
    return CallContext("account", language, NOW, documents=documents)


async def run(code, language="ko", provider=None, **arguments):
    told = context(language, OneDocument() if "documents" in arguments else None)
    result = await (provider or CodeProvider()).call("run_python", {"code": code, **arguments}, told)
    if result.is_error and "shut in" in str(result.data):
        pytest.skip(f"this machine cannot shut code in ({platform.release()})")
    return result


@pytest.mark.parametrize(
    ("code", "data"),
    [
        ("print('안녕')\n1 + 1", {"output": "안녕\n", "value": "2"}),
        ("```python\n6 * 7\n```", {"value": "42"}),
        ("x = 3", {}),
        ("import numpy as np\nint(np.arange(5).sum())", {"value": "10"}),
        ("def f(n):\n    return n and n + f(n - 1)\nf(10)", {"value": "55"}),
    ],
)
async def test_gives_what_is_printed_and_the_last_value(code, data):
    result = await run(code)
    assert result.data == data
    assert not result.is_error


async def test_trims_tracebacks_to_the_codes_own_lines():
    result = await run("def f():\n    return 1 / 0\n\nf()", "en")
    assert result.is_error
    assert result.data["error"] == "line 4: f()\nline 2: return 1 / 0\nZeroDivisionError: division by zero"
    assert result.text == "The code stopped with an error: ZeroDivisionError: division by zero"
    syntax = await run("for")
    assert syntax.data["error"].startswith("line 1: for\nSyntaxError")


@pytest.mark.parametrize(
    "code",
    [
        "open('/etc/passwd').read()",
        f"open({str(Path(__file__).parents[4] / 'pyproject.toml')!r}).read()",
        "open('/tmp/left-behind', 'w')",
        "import socket\nsocket.create_connection(('127.0.0.1', 80))",
        "import subprocess\nsubprocess.run(['id'])",
        "import os\nos.fork()",
        "import ctypes\nctypes.CDLL(None).kill(1, 9) and 1 / 0",
        "import os\nos.listdir('/home') + os.listdir('/root')",
    ],
)
async def test_lets_code_do_no_harm(code):
    result = await run(code)
    assert result.is_error
    assert not Path("/tmp/left-behind").exists()


async def test_stops_code_that_does_not_end_or_takes_too_much():
    quick = CodeProvider(seconds=1.5, memory_mb=256)
    endless = await run("while True: pass", provider=quick)
    assert endless.is_error
    assert endless.text == "코드가 1.5초 안에 끝나지 않아 멈췄습니다."
    greedy = await run("x = bytearray(1 << 30)", provider=quick)
    assert greedy.is_error
    noisy = await run("while True: print('x' * 10000)", "en", provider=quick)
    assert noisy.is_error
    much = await run("print('a' * 10**6)", provider=quick)
    assert len(much.data["output"]) < 25_000


async def test_draws_plots_that_hold_no_script():
    code = """
import matplotlib.pyplot as plt
plt.bar(['<script>alert(1)</script>', '나'], [1, 2])
plt.title('<img src=x onerror=alert(1)>')
plt.show()
plt.plot([0, 1, 2], [1, float('nan'), 3], label='선')
plt.legend()
"""
    result = await run(code)
    assert [file.name for file in result.files] == ["plot-1.svg", "plot-2.svg"]
    assert [card.kind for card in result.cards] == ["plot", "plot"]
    first = result.files[0].content.decode()
    ElementTree.fromstring(first)
    assert "<script" not in first
    assert "<img" not in first
    assert "&lt;img" in first


async def test_takes_nothing_but_numbers_from_a_forged_answer():
    # Code can reach what is about to be told, and put anything there.
    code = """
import sys
new = sys.modules['plots'].drawn.new
new().series.append({'kind': 'line"/><script>', 'x': [0, 1], 'y': [0, 1], 'label': '', 'names': []})
new().series.append({'kind': 'line', 'x': ['"/><script>', 1], 'y': [0, 1], 'label': '', 'names': []})
new().series.append({'kind': 'line', 'x': [0, 1], 'y': [0, 1], 'label': 5, 'names': ['<b>']})
"""
    result = await run(code)
    assert [file.name for file in result.files] == ["plot-3.svg"]
    assert b"script" not in result.files[0].content


@pytest.mark.parametrize("kind", ["line", "scatter", "bar", "barh", "pie"])
@pytest.mark.parametrize("values", [[1, 2, 3], [5, 5, 5], [-1, 0, 1], [1e90, 2, 3], [0, 0, 0]])
def test_draws_every_kind_of_plot(kind, values):
    figure = {
        "series": [{"kind": kind, "x": [0, 1, 2], "y": values, "label": "a", "names": ["가", "나", "다"]}]
    }
    drawn = draw(figure)
    assert drawn is not None
    ElementTree.fromstring(drawn)
    assert b"nan" not in drawn


async def test_works_on_the_tables_of_the_callers_documents():
    result = await run("sum(int(row[1]) for row in table[1:])", documents=["mine"])
    assert result.data == {"value": "7"}
    with pytest.raises(NotFound):
        await run("1", documents=["theirs"])
    with pytest.raises(InvalidInput):
        await CodeProvider().call("run_python", {"code": "1", "documents": ["mine"]}, context())
