"""`malmoi safety check` and `malmoi safety policy`."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from malmoi.cli.bench.guard_texts import personal_texts
from malmoi.cli.safety import safety
from malmoi.core.errors import ConfigError
from malmoi.core.pii import find_pii


def run(*arguments: str, text: str | None = None) -> str:
    done = CliRunner().invoke(safety, list(arguments), input=text, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_check_tells_reasons_and_what_becomes_of_a_text(home: Path) -> None:
    text = "제 번호는 010-1234-5678이에요. 야 이 시1발."
    found = json.loads(run("check", text, "--json", "--home", str(home)))
    assert found["action"] == "mask"
    assert found["becomes"] == "제 번호는 [전화번호_1]이에요. 야 이 시1발."
    assert {reason["source"] for reason in found["reasons"]} == {"list:curse", "pii:phone"}
    assert found["scores"]["curse"] == 1.0
    assert found["unknown"] == ["bias", "sensitive", "unsafe"]
    shown = run("check", "-", "--home", str(home), text=text)
    assert "reason   pii:phone -> mask (1.00): 010-1234-5678" in shown


def test_check_judges_answers_by_any_policy(home: Path) -> None:
    assert "[전화번호]" in run("check", "전화는 010-1234-5678.", "--answer", "--home", str(home))
    assert "109" in run("check", "죽고 싶어요", "--policy", "default", "--home", str(home))
    assert run("check", "시발", "--policy", "off", "--home", str(home)).startswith("action   pass")


def test_policy_shows_and_prints_a_policy_that_can_be_used_again(tmp_path: Path) -> None:
    assert "orders in documents mask" in run("policy", "strict")
    ours = tmp_path / "ours.toml"
    ours.write_text(run("policy", "strict", "--source"), encoding="utf-8")
    assert json.loads(run("policy", str(ours), "--json")) == json.loads(run("policy", "strict", "--json"))
    ours.write_text("[pii]\nrestor = true\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="restor"):
        CliRunner().invoke(safety, ["policy", str(ours)], catch_exceptions=False)


def test_made_up_personal_data_is_marked_where_it_stands() -> None:
    texts = list(personal_texts(300, 3))
    assert len(texts) == 300
    for marked in texts:
        for kind, start, end in marked.places:
            found = [one for one in find_pii(marked.text) if one.start < end and start < one.end]
            assert [one.kind for one in found] == [kind], marked.text
    assert sum(not marked.places for marked in texts) > 50
