"""The commands index, refresh, forget, collections and campaign, on a home of their own."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from fake_text_model import WordCounts, fake_kinds, items_of, store_model
from malmoi.cli.users.campaign import campaign
from malmoi.cli.users.collections import collections
from malmoi.cli.users.forget import forget
from malmoi.cli.users.index import index
from malmoi.cli.users.refresh import refresh
from malmoi.core.errors import UnknownName
from malmoi.core.store import Store
from malmoi.users import opening
from malmoi.users.index import open_collection
from malmoi.users.logs import Items, Logs

TEXTS = ["빨간 운동화 구매", "파란 운동화 구매", "제주 여행 예약", "로맨스 웹툰 열람"]


def logs_of_users(count: int, events: int) -> Logs:
    import numpy as np

    items: Items = items_of(TEXTS)
    return Logs(
        users=tuple(f"u{number:02d}" for number in range(count)),
        items=items,
        offsets=np.arange(count + 1, dtype=np.int64) * events,
        events=np.array([(n + e) % 4 for n in range(count) for e in range(events)], dtype=np.int32),
        times=np.array([1000 + e for _ in range(count) for e in range(events)], dtype=np.int64),
    )


def store_logs(home: Path, logs: Logs, name: str = "shop") -> str:
    store = Store(home / "store")
    with store.new_artifact("logs", name) as folder:
        logs.save(folder)
    return store.artifacts("logs")[-1].id


@pytest.fixture
def home_with_model(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(opening, "build_user_models", fake_kinds)
    store_model(home, WordCounts(items_of(TEXTS)))
    store_logs(home, logs_of_users(50, 1))
    return home


def call(command: Any, *arguments: str, home: Path) -> Result:
    return CliRunner().invoke(command, [*arguments, "--home", str(home)], catch_exceptions=False)


def test_from_logs_to_forgetting(home_with_model: Path, tmp_path: Path) -> None:
    home = home_with_model
    assert "no collections" in call(collections, home=home).output
    made = call(index, "word-counts", "shop", "--collection", "people", "--quiet", home=home)
    assert made.output == "people: 50 users encoded, 0 unchanged, events until 1970-01-01 00:16:40 UTC.\n"
    again = call(refresh, "people", "shop", "--quiet", home=home)
    assert "0 users encoded, 50 unchanged" in again.output
    newest = store_logs(home, logs_of_users(52, 2))
    assert "52 users encoded, 0 unchanged" in call(refresh, "people", "shop", "--quiet", home=home).output
    answers = tmp_path / "answers.csv"
    rows = [f"u{n:02d},{1 if n % 4 in (0, 3) else 0}" for n in range(52)]
    answers.write_text("\n".join(["user,answered", *rows, "nobody,1"]), encoding="utf-8")
    learned = call(campaign, "people", "spring", str(answers), home=home)
    assert learned.output == (
        "spring: learned from 52 users, of whom 26 answered. 1 are not in the collection and do not count.\n"
    )
    gone = call(forget, "people", "u03", "--yes", home=home)
    assert gone.output.startswith("people: 1 taken out, 51 left.\n")
    assert f"  {newest} still holds events of them." in gone.output
    assert (
        "51 unchanged, 1 left out, because they were taken out"
        in call(refresh, "people", "shop", "--quiet", home=home).output
    )
    call(forget, "people", "u03", "--readmit", home=home)
    assert "1 users encoded, 51 unchanged" in call(refresh, "people", "shop", "--quiet", home=home).output
    listed = call(collections, home=home).output.splitlines()
    assert listed[1].split()[:3] == ["people", "52", "64"]
    assert listed[1].endswith("spring")
    call(collections, "--rollback", "people", home=home)
    assert len(open_collection(home, "people")) == 51


def test_logs_go_by_their_short_name_in_every_command(home_with_model: Path, tmp_path: Path) -> None:
    """As `malmoi users import --name demo` makes the artifact demo-logs, "demo" names it everywhere."""
    home = home_with_model
    made = store_logs(home, logs_of_users(7, 2), "demo-logs")
    store = Store(home / "store")
    for name in ("demo", "demo-logs", made):
        assert opening.find_logs(store, name).id == made
        assert len(opening.open_logs(home, name)) == 7
    first = call(index, "word-counts", "demo", "--collection", "seven", "--quiet", home=home)
    assert first.output.startswith("seven: 7 users encoded")
    assert "7 unchanged" in call(refresh, "seven", "demo", "--quiet", home=home).output
    (tmp_path / "folder").mkdir()
    logs_of_users(3, 2).save(tmp_path / "folder")
    assert len(opening.open_logs(home, str(tmp_path / "folder"))) == 3
    with pytest.raises(UnknownName, match="did you mean 'demo-logs'"):
        opening.open_logs(home, "demo-log")


def test_nobody_is_taken_out_unasked(home_with_model: Path) -> None:
    call(index, "word-counts", "shop", "--quiet", home=home_with_model)
    refused = call(forget, "word-counts", "u03", home=home_with_model)
    assert refused.exit_code == 2
    assert "--yes" in refused.output
    assert len(open_collection(home_with_model, "word-counts")) == 50


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("user\na\n", "no column 'answered'"),
        ("user,answered\na,maybe\n", "line 2: 'maybe' is no answer"),
        ("user,answered\n,1\n", "line 2"),
    ],
    ids=["column", "answer", "user"],
)
def test_answers_that_cannot_be_read(
    home_with_model: Path, tmp_path: Path, content: str, message: str
) -> None:
    from malmoi.core.errors import InvalidInput

    call(index, "word-counts", "shop", "--quiet", home=home_with_model)
    answers = tmp_path / "answers.csv"
    answers.write_text(content, encoding="utf-8")
    with pytest.raises(InvalidInput, match=message):
        call(campaign, "word-counts", "spring", str(answers), home=home_with_model)
