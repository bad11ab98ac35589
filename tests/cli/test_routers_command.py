"""Routers by commands: read from files, listed, tried, measured, written, deleted."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from malmoi.assist.skills.routing.ngrams import letter_vectors
from malmoi.cli import cli
from malmoi.serve.skills.vectors import RoutingVectors

Run = Callable[..., Result]
LINES = """\
{"name": "안내", "description": "첫 화면", "safety": true}
{"domain": "날씨", "description": "날씨와 예보"}
{"domain": "날씨", "text": "내일 서울 날씨 알려줘"}
{"domain": "날씨", "text": "오늘 비 와?"}
{"domain": "날씨", "text": "주말 날씨 예보"}
{"domain": "렌터카", "text": "제주에서 렌터카 빌려줘"}
{"domain": "렌터카", "text": "렌터카 가격 알려줘"}
{"domain": "렌터카", "text": "경차 렌터카 예약"}
{"blocked": "선거", "text": "이번 선거에서 누구 뽑을까"}
{"blocked": "선거", "text": "대통령 선거 후보 평가해줘"}

{"text": "소설 추천해 줘"}
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command line on a home of its own; texts are alike by their letters alone."""

    async def embed(self: RoutingVectors, texts: Sequence[str]) -> np.ndarray:
        return letter_vectors(texts)

    monkeypatch.setattr(RoutingVectors, "__call__", embed)

    def invoke(*args: str, **more: Any) -> Result:
        return CliRunner().invoke(cli, ["routers", *args, "--home", str(tmp_path / "home")], **more)

    return invoke


@pytest.fixture
def made(run: Run, tmp_path: Path) -> Run:
    """With one router."""
    file = tmp_path / "router.jsonl"
    file.write_text(LINES, encoding="utf-8")
    told = run("import", str(file))
    assert told.output == "Made '안내': 2 domains, 1 blocked subjects, 9 examples.\n", told.exception
    return run


def test_a_router_is_listed_and_shown(made: Run) -> None:
    [line] = made("list").output.splitlines()
    name, router_id, *counts = line.split("  ")
    assert (name, counts) == ("안내", ["2 domains", "1 blocked", "9 examples", "0 versions"])
    shown = made("show", router_id).output.splitlines()
    assert shown == [
        f"안내  {router_id}",
        "첫 화면",
        "domain 날씨: 3 examples  날씨와 예보",
        "domain 렌터카: 3 examples",
        "blocked 선거: 2 examples",
        "others: 1, and the usual ones",
        "safety: on",
    ]
    assert json.loads(made("show", "안내", "--json").output)["content"]["others"] == ["소설 추천해 줘"]


def test_a_query_is_tried_and_told_why(made: Run) -> None:
    told = made("try", "안내", "모레 부산 날씨 알려줘").output.splitlines()
    assert told[0] == "domain: 날씨"
    assert told[1].startswith("-> ")
    assert told[1].endswith("날씨  (nearest: 내일 서울 날씨 알려줘)")
    assert any(line.endswith("is the threshold") for line in told)
    assert told[-1] == "safety: nothing was found"
    assert "blocked: 선거" in made("try", "안내", "시장 선거 후보 누구 뽑을까").output
    assert "safety: self_harm" in made("try", "안내", "나 이제 죽고 싶어").output
    as_json = made("try", "안내", "부산은?", "--before", "내일 서울 날씨 알려줘", "--json").output
    trace = json.loads(as_json)
    assert (trace["domain"], trace["domains"][0]["name"]) == ("날씨", "날씨")


def test_a_version_is_measured_and_stays(made: Run, tmp_path: Path) -> None:
    frozen = made("freeze", "안내").output.splitlines()
    assert frozen[0] == "version 1"
    assert frozen[1].startswith("domains: found ")
    assert " of 6 (" in frozen[1]
    assert made("freeze", "안내").output.splitlines() == frozen
    file = tmp_path / "less.json"
    file.write_text('{"content": {"others": ["다른 말"], "safety": true}}', encoding="utf-8")
    taken = made("import", str(file), "--name", "안내")
    assert taken.exit_code != 0
    assert "a router of the name '안내' already" in str(taken.exception)
    replaced = made("import", str(file), "--name", "안내", "--replace")
    assert replaced.output == "Replaced '안내': 0 domains, 0 blocked subjects, 1 examples.\n"
    assert made("import", str(file), "--name", "Desk").output.startswith("Made 'Desk'")
    assert made("import", str(file), "--name", "DESK", "--replace").output.startswith("Replaced 'Desk'")
    assert made("try", "안내", "모레 부산 날씨 알려줘").output.startswith("domain: none")
    assert made("try", "안내", "모레 부산 날씨 알려줘", "--version", "1").output.startswith("domain: 날씨")
    assert "version 1  2" in made("show", "안내").output
    version = made("show", "안내", "--version", "1").output
    assert "domains: found " in version
    assert "  날씨: " in version


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_what_is_written_can_be_read_again(made: Run, tmp_path: Path, form: str) -> None:
    file = tmp_path / f"out.{form}"
    assert made("export", "안내", "--format", form, "--out", str(file)).output == f"Wrote {file}.\n"
    text = file.read_text(encoding="utf-8")
    assert made("export", "안내", "--format", form).output == text
    assert made("remove", "안내", "--yes").output == "Deleted '안내'.\n"
    assert made("list").output == ""
    assert made("import", "-", input=text).exit_code == 0
    assert made("export", "안내", "--format", form).output == text


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("show", "안네"), "no router '안네'"),
        (("try", "안내", "x", "--version", "2"), "no version 2"),
        (("export", "nothing"), "no router 'nothing'"),
        (("list", "--account", "nobody"), "no account 'nobody'"),
        (("import", "/nowhere.json"), "No such file"),
    ],
    ids=["show", "try", "export", "account", "file"],
)
def test_what_is_not_there_is_said(made: Run, args: tuple[str, ...], message: str) -> None:
    failed = made(*args)
    assert failed.exit_code != 0
    assert message in failed.output + str(failed.exception)


def test_a_deletion_is_asked_for(made: Run) -> None:
    assert made("remove", "안내", input="n\n").exit_code != 0
    assert made("list").output.startswith("안내  ")


def test_a_file_that_is_wrong_names_its_line(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "wrong.jsonl"
    file.write_text('{"name": "a"}\n{"domainn": "날씨", "text": "비 와?"}\n', encoding="utf-8")
    failed = run("import", str(file))
    assert f"{file}: line 2: domainn cannot be here" in str(failed.exception)
    file.write_bytes(b"\xff\xfe")
    assert "no UTF-8 text" in str(run("import", str(file)).exception)
