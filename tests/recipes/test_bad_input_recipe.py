"""Whatever is wrong with data, recipe or store: one clear sentence, and what was made before is kept."""

import gzip
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

pytest.importorskip("torch")

from tiny_runs import RECIPE, SMALL, Child, digests, last_run, made, read_json, statuses

from malmoi.cli import main
from malmoi.core.store import Store

pytestmark = pytest.mark.timeout(180)

QUICK = (*SMALL, "tokenizer.kind=byte", "tokenizer.vocab_size=512", "tokenizer.report_bytes=0")
GOOD = "강릉의 작은 항구에는 오래된 등대가 있습니다. 마을 사람들은 아침마다 그 앞에 모여 바다를 바라봅니다. "


class Ended:
    """How a command ended, and what it said."""

    def __init__(self, code: object, out: str, errors: str) -> None:
        self.code, self.out, self.errors = code, out, errors

    def refused(self, *parts: str) -> "Ended":
        """It ended with a sentence that holds `parts`; what `main` lets through would be a traceback."""
        assert self.code == 1, self.out + self.errors
        assert self.errors.count("malmoi: ") == 1
        for part in parts:
            assert part in self.errors, self.errors
        return self

    def fine(self) -> "Ended":
        assert self.code == 0, self.errors
        return self


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]):
    def run(*arguments: object, settings: Sequence[str] = ()) -> Ended:
        chosen = [word for setting in settings for word in ("--set", setting)]
        with pytest.raises(SystemExit) as ended:
            main([*map(str, arguments), *chosen])
        return Ended(ended.value.code or 0, *capsys.readouterr())

    return run


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """A folder with thirty good documents; the home of the tests is beside it."""
    folder = tmp_path / "texts"
    (folder / "good").mkdir(parents=True)
    for number in range(30):
        place = "".join(chr(0xAC00 + 28 * (number * 37 + i * 101) % 11172) for i in range(40))
        (folder / "good" / f"{number}.txt").write_text(f"{GOOD}{number}번째 이야기는 {place} 입니다. {GOOD}")
    return folder


@pytest.fixture
def corpus(call, texts: Path, home: Path):
    """`malmoi run` on that folder, as far as the corpus."""

    def run(*arguments: object, settings: Sequence[str] = ()) -> Ended:
        return call(
            *("run", RECIPE, "--home", home, "--data", texts, "--until", "corpus", "--quiet"),
            *arguments,
            settings=(*QUICK, *settings),
        )

    return run


def problems(home: Path) -> dict[str, int]:
    return read_json(made(home, "corpus"), "counts.json")["problems"]["counts"]


class TestData:
    def test_an_empty_folder(self, corpus, texts: Path, home: Path) -> None:
        shutil.rmtree(texts)
        texts.mkdir()
        corpus().refused(f"no document could be read from {texts}", ".jsonl")
        assert Store(home / "store").artifacts() == []

    def test_only_binary_files(self, corpus, texts: Path) -> None:
        shutil.rmtree(texts)
        texts.mkdir()
        (texts / "photo.txt").write_bytes(bytes(range(256)) * 100)
        (texts / "film.mp4").write_bytes(b"\0" * 5000)
        corpus().refused("no document could be read", "photo.txt", "binary_file")

    def test_files_that_break_among_good_ones_are_counted(self, corpus, texts: Path, home: Path) -> None:
        (texts / "good" / "bytes.txt").write_bytes(GOOD.encode() + b"\xff\xfe\xfa\x81\x20 " + GOOD.encode())
        (texts / "good" / "table.parquet").write_bytes(b"PAR1 this is not the rest of it")
        (texts / "good" / "cut.jsonl.gz").write_bytes(gzip.compress(b'{"text": "a"}\n' * 9999)[:-40])
        (texts / "good" / "rows.jsonl").write_text('{"text": "open\n[1]\n{"other": 1}\n')
        corpus().fine()
        counts = problems(home)
        for reason in ("broken_encoding", "broken_parquet", "broken_compression", "broken_json"):
            assert counts.get(reason), counts
        assert sum(row["documents"] for row in read_json(made(home, "corpus"), "mixture.json")["sources"])

    def test_one_giant_line(self, corpus, texts: Path, home: Path) -> None:
        line = "가" * (6 << 20)  # 18 MB
        (texts / "good" / "line.txt").write_text(line)
        (texts / "good" / "line.jsonl").write_text(json.dumps({"text": line}, ensure_ascii=False))
        corpus().fine()
        assert problems(home)["line_too_long"] == 2
        shutil.rmtree(texts)
        texts.mkdir()
        (texts / "line.txt").write_text(line)
        corpus().refused("line.txt#1", "line_too_long")

    def test_an_unreadable_parquet_alone(self, corpus, texts: Path) -> None:
        shutil.rmtree(texts)
        texts.mkdir()
        (texts / "table.parquet").write_bytes(b"PAR1")
        corpus().refused("table.parquet", "broken_parquet")

    def test_folders_and_files_without_permission(self, corpus, texts: Path, home: Path) -> None:
        for closed in (texts / "closed", texts / "good" / "closed"):
            closed.mkdir()
            (closed / "a.txt").write_text(GOOD)
            closed.chmod(0)
        (texts / "good" / "0.txt").chmod(0)
        if os.access(closed, os.R_OK):
            pytest.skip("nothing is closed to root")
        corpus().fine()
        assert sum(row["documents"] for row in read_json(made(home, "corpus"), "mixture.json")["sources"])
        counts = problems(home)
        assert {name: counts[name] for name in ("unreadable_file", "closed_folder", "no_text_inside")} == {
            "unreadable_file": 1,
            "closed_folder": 1,
            "no_text_inside": 1,
        }

    def test_everything_is_dropped(self, corpus, texts: Path) -> None:
        shutil.rmtree(texts)
        texts.mkdir()
        (texts / "short.txt").write_text("짧다")
        corpus().refused("no document is left of the 1 that were read", "length: too_short")

    def test_the_folder_vanishes_between_runs(self, call, corpus, texts: Path, home: Path) -> None:
        corpus().fine()
        before = digests(home)
        shutil.rmtree(texts)
        corpus().refused(f"--data: there is no folder {texts}")
        call("runs", "rerun", last_run(home).id, "--home", home).refused(str(texts))
        assert digests(home) == before
        made(home, "corpus").verify()


class TestSettings:
    def test_a_vocabulary_that_is_too_small(self, corpus, home: Path) -> None:
        corpus("--until", "tokenizer", settings=["tokenizer.vocab_size=100"]).refused("vocab", "100")
        assert statuses(home)["corpus"] == "finished"

    def test_a_vocabulary_that_the_text_cannot_fill(self, corpus, home: Path) -> None:
        ended = corpus("--until", "tokenizer", settings=["tokenizer.vocab_size=60_000"])
        assert ended.code == 0, ended.errors
        assert made(home, "tokenizer").manifest.metadata["vocab_size"] < 60_000

    def test_a_context_longer_than_the_corpus(self, corpus, home: Path) -> None:
        corpus("--until", "pretrain", settings=["pretrain.context_length=1_000_000"]).refused(
            "training tokens, fewer than one sequence of 1000000", "shorter context_length"
        )
        assert [*statuses(home).values()] == ["finished", "finished", "finished", "failed"]

    @pytest.mark.parametrize(
        ("arguments", "parts"),
        [
            (("--set", "tokenizer.vocab_sise=512"), ("vocab_sise", "vocab_size")),
            (("--set", "tokeniser.vocab_size=512"), ("no stage 'tokeniser'", "tokenizer")),
            (("--set", "pretrain.depth"), ("has no '='",)),
            (("--set", "pretrain.model.architecture=gpt"), ("stages.pretrain.model.architecture", "llama")),
            (("--set", "pretrain.init=nothing"), ("no installed model or path 'nothing'",)),
            (("--set", "tokenizer.vocab_size=many"), ("tokenizer.vocab_size", "integer")),
            (("--set", "seed=-1"), ("seed is -1",)),
            (("--set", "name=../../x"), ("the recipe's name is '../../x'",)),
            (("--until", "pretrian"), ("no stage 'pretrian'", "did you mean 'pretrain'")),
            (("--from", "gguff"), ("no stage 'gguff'",)),
            (("--from", "gguf"), ("--from gguf", "corpus before it is not there")),
            (("--data", "/nowhere/at/all"), ("there is no folder /nowhere/at/all",)),
        ],
    )
    def test_a_wrong_setting_is_named(
        self, call, home: Path, arguments: tuple[str, ...], parts: tuple[str, ...]
    ) -> None:
        call("run", RECIPE, "--home", home, *arguments).refused(*parts)
        assert not (home / "store" / "artifacts").exists()

    @pytest.mark.parametrize(
        ("text", "parts"),
        [
            ('name = "x"\n[stages.corpsu]\n', ("no stage 'corpsu'", "did you mean 'corpus'", "x.toml")),
            ('name = "../../x"\n[stages.corpus]\n', ("the recipe's name is '../../x'",)),
            ('name = "x"\n[stages."../x"]\nuse = "corpus"\n', ("'../x' is not a name for a stage",)),
            ('name = "x"\n[stages.gguf]\n', ("stages.gguf needs a model", "no stage before it")),
            ('name = "x"\nstage = 1\n[stages.corpus]\n', ("no key 'stage'", "x.toml")),
            ('name = "x"\n[stages]\ncorpus = 5\n', ("x.toml: stages.corpus is 5, not a table",)),
            ('name = "x"\n[stages.corpus]\nuse = ["corpus"]\n', ("x.toml", "corpus")),
            ('name = "x"\n[stages.corpus]\nsources = [{name = "a", paths = ["../../etc/*"]}]\n', ("..",)),
            ('name = "x"\n[stages.tokenizer]\ninputs = {corpus = "../../etc"}\n', ("'../../etc'",)),
            ('name = "x"\nextends = "x.toml"\n[stages.corpus]\n', ("extends",)),
            ('name = "x"\nstages = 3\n', ("no stages",)),
            ('name = "x"\n[stages.corpus\n', ("is not valid TOML", "line 2", "x.toml")),
            ("\udcff", ("is not UTF-8", "x.toml")),
            ("", ("the recipe's name is None",)),
        ],
    )
    def test_a_wrong_recipe_is_named(
        self, call, home: Path, tmp_path: Path, text: str, parts: tuple[str, ...]
    ) -> None:
        (tmp_path / "x.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
        call("run", tmp_path / "x.toml", "--home", home).refused(*parts)
        assert not (home / "store" / "artifacts").exists()

    def test_a_recipe_that_is_not_there(self, call, home: Path, tmp_path: Path) -> None:
        call("run", tmp_path / "none.toml", "--home", home).refused("there is no recipe", "tiny-ko")
        call("run", "tiny-kr", "--home", home).refused("no recipe 'tiny-kr'", "did you mean 'tiny-ko'")
        call("run", tmp_path, "--home", home).refused(str(tmp_path))


class TestStore:
    def test_an_artifact_that_was_deleted_by_hand_is_made_again(self, call, corpus, home: Path) -> None:
        corpus("--until", "tokens").fine()
        before, run, lost = digests(home), last_run(home), made(home, "corpus")
        shutil.rmtree(lost.path)
        told = call("runs", "show", run.id, "--home", home).fine()
        assert lost.id in told.out
        ended = call("artifacts", "lineage", made(home, "tokens").id, "--home", home).fine()
        assert f"{lost.id:<44} missing" in ended.out
        call("runs", "rerun", run.id, "--home", home, "--dry-run").fine()
        corpus("--until", "tokens").fine()
        assert statuses(home) == {"corpus": "finished", "tokenizer": "reused", "tokens": "reused"}
        assert digests(home) == before

    def test_a_file_that_was_deleted_by_hand_is_noticed(self, call, corpus, home: Path) -> None:
        corpus().fine()
        before, lost = digests(home), made(home, "corpus")
        next((lost.path / "train").glob("*.parquet")).unlink()
        call("artifacts", "verify", lost.id, "--home", home).refused(lost.id, "is missing")
        assert f"files of {lost.id} are missing" in corpus("--dry-run").fine().out
        corpus().fine()
        assert digests(home) == before

    @pytest.mark.parametrize("place", ["/proc/nowhere", "/dev/null"])
    def test_a_home_that_cannot_be(self, call, place: str) -> None:
        call("run", RECIPE, "--home", place).refused(f"the store {place}/store cannot be written to")

    def test_a_damaged_manifest_is_named(self, corpus, home: Path) -> None:
        corpus().fine()
        path = made(home, "corpus").path / "manifest.json"
        path.write_text("{")
        corpus().refused(str(path), "Restore the file or remove its folder")


@pytest.mark.slow
def test_two_runs_of_the_same_recipe_at_once(corpus, texts: Path, home: Path) -> None:
    with Child(home, "--data", texts, settings=QUICK) as child:
        while child.process.poll() is None and not any((home / "store" / "work").glob("*/read")):
            pass
        ended = corpus()
        assert child.process.wait(timeout=120) == 0, child.said
    if ended.code:  # else the first was quicker
        ended.refused("another process is working on the stage corpus", "malmoi runs ls")
    corpus().fine()
    assert statuses(home) == {"corpus": "reused"}
    assert len(Store(home / "store").artifacts("corpus")) == 1
