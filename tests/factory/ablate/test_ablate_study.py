import json
from pathlib import Path

import pytest
from click.testing import CliRunner

import counting_stages
from malmoi.cli import cli
from malmoi.core.errors import MalmoiError
from malmoi.core.store import Store

RECIPE = 'name = "tiny"\nseed = 3\n[stages.count]\n[stages.double]\n[stages.figures]\n'
STUDY = """
title = "Does counting further help?"
recipe = "tiny.toml"
skip = ["double"]
repeat = "figures"
seeds = [1, 2, 3]
baseline = "short"
losses = ["figures.score.last"]
[common]
"count.workers" = 2
[variants.short]
"count.upto" = 4
[variants.long]
count = {upto = 9}
"""


@pytest.fixture(autouse=True)
def _counting_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("malmoi.factory.stages.build_stages", counting_stages.stages)


def call(folder: Path, study: str, *args: str) -> str:
    (folder / "tiny.toml").write_text(RECIPE, encoding="utf-8")
    (folder / "further.toml").write_text(study, encoding="utf-8")
    home = folder / "home"
    home.mkdir(exist_ok=True)
    command = ["ablate", str(folder / "further.toml"), "--home", str(home), "--quiet", *args]
    return CliRunner().invoke(cli, command, catch_exceptions=False, standalone_mode=False).stdout


def test_a_study_runs_each_variant_with_each_seed_and_shares_what_it_can(tmp_path: Path) -> None:
    said = call(tmp_path, STUDY)
    assert "Does counting further help?" in said
    ran = (tmp_path / "home" / "ran.txt").read_text().split()
    assert ran.count("count") == 2  # once a variant: the seeds share it
    assert ran.count("figures") == 6
    report = Store(tmp_path / "home" / "store").artifacts("report")[-1]
    table = json.loads((report.path / "table.json").read_text())
    rows = {row["variant"]: row for row in table["figures"]["figures.score.last"]}
    assert rows["short"]["mean"] == pytest.approx(3 + 3)  # the last of 3, 4, 5, 6, each seed the same
    assert rows["long"]["mean"] == pytest.approx(8 + 3)
    assert rows["long"]["verdict"] == "worse"
    assert len(report.manifest.inputs) == 6
    page = (report.path / "about" / "study.html").read_text()
    assert "<svg" in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    call(tmp_path, STUDY)
    assert (tmp_path / "home" / "ran.txt").read_text().split() == ran  # nothing is repeated


def test_fewer_seeds_and_a_dry_run(tmp_path: Path) -> None:
    said = call(tmp_path, STUDY, "--seeds", "5", "--dry-run")
    assert said.splitlines() == [
        "short            seed 5  count -> figures",
        "long             seed 5  count -> figures",
    ]
    assert not (tmp_path / "home" / "ran.txt").exists()
    assert "one seed: unknown" in call(tmp_path, STUDY, "--seeds", "5")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('baseline = "short"', 'baseline = "shrot"', "no variant 'shrot'"),
        ('repeat = "figures"', 'repeat = "pretrain"', "no stage 'pretrain'"),
        ("figures.score.last", "figures.score.first", "figures made: figures.score.last"),
        ('"count.upto"', '"cuont.upto"', "no stage for 'cuont.upto'"),
        ('"count.upto"', '"count.upot"', "Did you mean stages.count.upto"),
        ("title =", "titel =", "Did you mean title"),
        ('losses = ["figures.score.last"]', "", "give losses or scores"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(MalmoiError) as caught:
        call(tmp_path, STUDY.replace(old, new))
    assert message in str(caught.value)
