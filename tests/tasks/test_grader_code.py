"""Programs that nobody has read: how they are found in answers, and that they can do no harm."""

import gzip
import json
import os
import re
import socket
import time
from pathlib import Path

import pytest

from malmoi.tasks.base import Example
from malmoi.tasks.graders import build_grader
from malmoi.tasks.graders.code import CodeGrader, pass_at_k
from malmoi.tasks.graders.code_text import candidate_programs

HEADER = 'from math import sqrt\n\ndef double(x):\n    """Twice x."""\n'
EXAMPLE = Example(
    id="1",
    question=HEADER,
    fields={
        "header": HEADER,
        "entry_point": "double",
        "tests": "assert double(3) == 6\nassert double(0) == 0",
    },
)
WHOLE = Example(id="2", question="", fields={"tests": ""})


def grader(**options: object) -> CodeGrader:
    made = build_grader({"kind": "code", **options})
    assert isinstance(made, CodeGrader)
    return made


@pytest.mark.parametrize(
    ("answer", "grade"),
    [
        ("    return 2 * x\n", 1),
        ("return 2 * x", 1),
        ("   return 2 * x", 1),
        ("    y = x\n    return y + x\n\ndef test():\n    ((", 1),
        ("\ty = x\n\treturn y + x", 1),
        ("y = x\nreturn y + x", 1),
        ("y = x\n    return y + x", 1),
        ("Sure:\n```python\ndef double(x):\n    return x + x\n```\nIt adds `x`.", 1),
        ("```\n    return x + x\n```", 1),
        (
            "```python\ndef no(x):\n    return 1\n```\nBetter:\n```py\ndef double(x):\n    return x * 2\n```",
            1,
        ),
        ("def double(x):\n    return helper(x)\n\ndef helper(x):\n    return x + x\n", 1),
        ("def double(x):\n    return x + x\n\nThis doubles x.", 0),
        ("def double(x):\n    return x + x\n\nprint(double(", 1),
        ("    return int(sqrt(x * x)) * 2\n", 1),
        ("```python\ndef double(x):\n    return int(sqrt(x * x)) * 2\n```", 1),
        ("    return 3 * x\n", 0),
        ("    return (\n", 0),
        ("", 0),
        ("잘 모르겠습니다.", 0),
    ],
    ids=range(19),
)
def test_programs_are_found_in_answers(answer: str, grade: float) -> None:
    assert grader().grade(EXAMPLE, answer) == grade


def test_functions_above_the_tested_one_stay() -> None:
    header = "def help(x):\n    return x + 1\n\ndef f(x):\n"
    (program,) = candidate_programs(
        "```python\ndef f(x):\n    return help(x)\n```", header=header, entry_point="f"
    )
    assert program.startswith("def help(x):\n    return x + 1\n")
    assert "def f(x):\n    return help(x)" in program


@pytest.mark.parametrize(
    ("name", "program", "reason"),
    [
        ("exit", "import sys; sys.exit(0)", "SystemExit"),
        ("hard exit", "import os; os._exit(0)", "crash"),
        (
            "forged answer",
            "import os, json\nforged = json.dumps({'value': {'passed': True}}).encode()\n"
            "for number in range(3, 20):\n    try: os.write(number, forged)\n"
            "    except OSError: pass\nos._exit(0)",
            "crash",
        ),
        ("loop", "while True: pass", "timeout"),
        ("sleep", "import time; time.sleep(60)", "timeout"),
        ("memory", "x = bytearray(1 << 31)", "MemoryError"),
        ("growing memory", "x = [0]\nwhile True: x += x", "MemoryError"),
        ("gigabytes", "while True: print('x' * 1_000_000)", "timeout"),
        ("fork bomb", "import os\nwhile True: os.fork()", "PermissionError"),
        ("threads", "import threading\nwhile True: threading.Thread(target=input).start()", "RuntimeError"),
        ("program", "import subprocess; subprocess.run(['true'])", "PermissionError"),
        ("shell", "import os; assert os.system('true') == 0", "AssertionError"),
        ("kill", "import os; os.kill(os.getppid(), 0)", "PermissionError"),
        ("limits", "import resource as r; r.setrlimit(r.RLIMIT_CPU, (90, 90))", "PermissionError|ValueError"),
        ("socket", "import socket; socket.socket()", "PermissionError"),
        ("passwords", "open('/etc/passwd').read()", "PermissionError"),
        (
            "parent's environment",
            "import os; open(f'/proc/{os.getppid()}/environ').read()",
            "PermissionError",
        ),
        ("own memory", "open('/proc/self/mem', 'rb')", "PermissionError"),
        ("standard input", "input()", "EOFError"),
        ("recursion", "def f(): return f()\nf()", "RecursionError"),
        ("deep source", "(" * 5000 + ")" * 5000, "SyntaxError|MemoryError|RecursionError"),
        ("abort", "import os; os.abort()", "crash"),
        ("null", "x = '\0'", "ValueError|SyntaxError"),
        ("odd exception", "class E(Exception):\n  def __str__(s): raise s\nraise E", "without words"),
    ],
    ids=lambda value: value.replace(" ", "_") if isinstance(value, str) and len(value) < 24 else "",
)
def test_a_hostile_program_fails(name: str, program: str, reason: str) -> None:
    # Only what never ends of itself meets the time limit; other reasons may take long on a busy machine.
    seconds = 1 if reason == "timeout" else 15
    started = time.monotonic()
    failure = grader(seconds=seconds, memory_mb=256).failure(WHOLE, program)
    assert re.search(reason, failure), (name, failure)
    assert time.monotonic() - started < seconds + 20


def test_files_stay_as_they_are(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text("all of it")
    attempts = [
        f"open({str(tmp_path / 'new')!r}, 'w')",
        f"open({str(kept)!r}, 'w')",
        f"open({str(kept)!r}).read()",
        f"os.remove({str(kept)!r})",
        f"os.truncate({str(kept)!r}, 0)",
        f"os.rename({str(kept)!r}, {str(tmp_path / 'gone')!r})",
        f"os.chmod({str(kept)!r}, 0)",
        f"os.mkdir({str(tmp_path / 'folder')!r})",
        f"os.symlink('/', {str(tmp_path / 'link')!r})",
        f"os.utime({str(kept)!r}, (0, 0))",
        "open('/tmp/malmoi-was-here', 'w')",
        "open('/dev/shm/malmoi-was-here', 'w')",
    ]
    before = kept.stat()
    tries = "".join(f"try:\n    {attempt}\nexcept OSError: refused += 1\n" for attempt in attempts)
    program = f"import os\nrefused = 0\n{tries}assert refused == {len(attempts)}, refused"
    assert grader().failure(WHOLE, program) == ""
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert kept.read_text() == "all of it"
    assert (kept.stat().st_mtime_ns, kept.stat().st_mode) == (before.st_mtime_ns, before.st_mode)


def test_the_environment_stays_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "a secret")
    program = (
        "import os\nassert 'HF_TOKEN' not in os.environ\nassert b'secret' not in repr(os.environb).encode()"
    )
    assert grader().failure(WHOLE, program) == ""


def test_nobody_is_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        program = (
            f"import socket; socket.create_connection(('127.0.0.1', {server.getsockname()[1]}), timeout=1)"
        )
        assert grader().failure(WHOLE, program) != ""


def test_nothing_is_left_running() -> None:
    program = (
        "import signal\nfor number in range(1, 32):\n    try: signal.signal(number, signal.SIG_IGN)\n"
        "    except (OSError, ValueError): pass\nwhile True: pass"
    )
    children = set(_children())
    assert grader(seconds=1).failure(WHOLE, program).startswith(("timeout", "crash"))
    assert set(_children()) <= children


def _children() -> list[str]:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


def test_ordinary_programs_have_what_they_need() -> None:
    program = (
        "import re, math, collections, itertools, functools, heapq, random, datetime, decimal, json\n"
        "import hashlib, unicodedata, statistics, string, typing, copy, bisect, fractions, zoneinfo\n"
        "random.seed(); print(random.random(), '한글')\n"
        "import numpy as np; assert np.arange(4).sum() == 6\n"
    )
    assert grader().failure(WHOLE, program) == ""


def test_where_nothing_can_be_shut_in_nothing_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from malmoi.core import confine
    from malmoi.core.errors import Unsupported

    monkeypatch.setattr("platform.machine", lambda: "mips")
    with pytest.raises(confine.CannotConfine, match="mips"):
        confine.confine([])
    # The child asks its own kernel, so it is told here what it would say.
    told = Unsupported("this machine cannot shut in code", fix="Use Linux.")

    def refuse(*_: object, **__: object) -> None:
        raise told

    monkeypatch.setattr("malmoi.tasks.graders.code.run", refuse)
    with pytest.raises(Unsupported, match="Use Linux"):
        grader().grade(EXAMPLE, "    return 2 * x")


@pytest.mark.parametrize(
    ("samples", "passed", "k", "value"),
    [
        (1, 0, 1, 0.0),
        (1, 1, 1, 1.0),
        (10, 3, 1, 0.3),
        (5, 2, 2, 0.7),
        (4, 2, 3, 1.0),
        (200, 20, 100, 0.9999997),
    ],
)
def test_pass_at_k_is_the_unbiased_estimate(samples: int, passed: int, k: int, value: float) -> None:
    assert pass_at_k(samples, passed, k) == pytest.approx(value, abs=5e-7)


def test_pass_at_k_equals_counting_every_subset() -> None:
    from itertools import combinations

    draws = list(combinations([True, True, False, False, False, False], 3))
    assert pass_at_k(6, 2, 3) == pytest.approx(sum(any(draw) for draw in draws) / len(draws))
    with pytest.raises(ValueError, match="pass@3"):
        pass_at_k(2, 1, 3)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_solution_of_humaneval_passes_and_none_when_it_is_broken() -> None:
    data = os.environ.get("MALMOI_TEST_DATA")
    if not data:
        pytest.skip("MALMOI_TEST_DATA names no data folder")
    with gzip.open(Path(data) / "humaneval" / "HumanEval.jsonl.gz", "rt") as file:
        rows = [json.loads(line) for line in file]
    passed, deceived = 0, 0
    for row in rows:
        fields = {
            "header": row["prompt"],
            "entry_point": row["entry_point"],
            "tests": f"{row['test']}\ncheck({row['entry_point']})",
        }
        example = Example(id=row["task_id"], question=row["prompt"], fields=fields)
        passed += grader(seconds=20).grade(example, row["canonical_solution"]) == 1
        deceived += grader(seconds=20).grade(example, "    return None\n") == 1
    assert (passed, deceived) == (164, 0)
