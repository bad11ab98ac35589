import gzip
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from malmoi.core.errors import ConfigError, InvalidInput, MalmoiError
from malmoi.core.stage import SilentProgress, StageContext
from malmoi.core.store import Store
from malmoi.factory.corpus import inputs
from malmoi.factory.corpus.documents import read_documents, read_mixture, read_rejects
from malmoi.factory.corpus.settings import CorpusConfig
from malmoi.factory.corpus.stage import CorpusStage

CHILD = """
import sys
from pathlib import Path
from malmoi.core.stage import StageContext
from malmoi.core.store import Store
from malmoi.factory.corpus.settings import CorpusConfig
from malmoi.factory.corpus.stage import CorpusStage

if __name__ == "__main__":
    data, work, config = map(Path, sys.argv[1:])
    (work / "out").mkdir(parents=True, exist_ok=True)
    context = StageContext(
        store=Store(work / "store"), name="corpus", work=work, seed=5, home=work, data=data
    )
    CorpusStage().run(CorpusConfig.model_validate_json(config.read_text()), {}, work / "out", context)
"""

NOUNS = [
    "바다",
    "하늘",
    "나무",
    "사람",
    "마을",
    "시장",
    "아이",
    "노래",
    "편지",
    "학교",
    "기차",
    "구름",
    "정원",
    "언덕",
    "다리",
    "겨울",
    "봄비",
    "달빛",
    "소금",
    "거울",
]
VERBS = [
    "걸었다",
    "불렀다",
    "보았다",
    "만들었다",
    "기다렸다",
    "잊었다",
    "지나갔다",
    "떠올렸다",
    "그렸다",
    "나누었다",
    "배웠다",
    "찾았다",
]
WORDS = [
    "river",
    "stone",
    "winter",
    "letter",
    "garden",
    "market",
    "silver",
    "window",
    "morning",
    "paper",
    "travel",
    "music",
    "bridge",
    "teacher",
    "harbor",
    "forest",
    "candle",
    "mirror",
    "the",
    "of",
    "and",
    "to",
    "in",
    "was",
    "with",
    "from",
    "that",
    "had",
    "been",
]


def korean(rng, sentences=8):
    return " ".join(
        f"{rng.choice(NOUNS)}에서 {rng.choice(NOUNS)}와 {rng.choice(NOUNS)}을 {rng.choice(VERBS)}. "
        f"그날의 {rng.choice(NOUNS)}은 {rng.choice(NOUNS)}처럼 {rng.choice(VERBS)}."
        for _ in range(sentences)
    )


def english(rng, sentences=8):
    return " ".join("The " + " ".join(rng.choices(WORDS, k=11)) + "." for _ in range(sentences))


def code(rng):
    names = rng.sample(WORDS[:15], 6)
    lines = [f"def {a}_{b}(value):\n    return value * {rng.randrange(999)}\n" for a, b in pairwise(names)]
    return "import os\n\n" + "\n".join(lines)


def write_lines(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode(), mtime=0))
    else:
        path.write_text(text, encoding="utf-8")


QUESTION = "철수는 바구니에 담긴 귤 스물네 개를 동생 셋과 똑같이 나누어 먹기로 하였다."


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    rng = random.Random(1)
    texts = [korean(rng) for _ in range(150)]
    write_lines(folder / "news" / "a.jsonl.gz", [{"text": text} for text in texts[:80]])
    write_lines(folder / "news" / "b.jsonl", [{"text": text} for text in texts[80:]])
    planted = [
        {"text": texts[3].replace(" ", "  ")},  # an exact copy but for its spaces
        {"text": texts[4].replace("바다", "들판", 1) + " 끝."},  # a near copy
        {"text": korean(rng) + "\n" + QUESTION + "\n" + korean(rng)},
        {"text": korean(rng) + " 연락은 010-1234-5678 또는 kim@naver.com 으로 하세요."},
        {"text": "짧다"},
        {"text": "!" * 300},
    ]
    write_lines(folder / "planted" / "p.jsonl", planted)
    (folder / "pages").mkdir()
    for number in range(60):
        (folder / "pages" / f"p{number:02d}.txt").write_text(english(rng), encoding="utf-8")
    (folder / "programs").mkdir()
    for number in range(30):
        (folder / "programs" / f"p{number:02d}.py").write_text(code(rng), encoding="utf-8")
    write_lines(folder / "exam" / "test.jsonl", [{"question": QUESTION, "answer": "여섯 개"}])
    return folder


class Notes(SilentProgress):
    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


def run(data, work, seed=5, **settings):
    config = CorpusConfig.model_validate({"num_workers": 1, "evaluation": ["exam/**"], **settings})
    out = work / "out"
    out.mkdir(parents=True)
    progress = Notes()
    context = StageContext(
        store=Store(work / "store"),
        name="corpus",
        work=work,
        seed=seed,
        home=work,
        data=data,
        progress=progress,
    )
    CorpusStage().run(config, {}, out, context)
    return out, progress.notes


@pytest.fixture(scope="module")
def corpus(data, tmp_path_factory):
    return run(data, tmp_path_factory.mktemp("corpus"))[0]


def digests(out):
    return {
        path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file() and "about" not in path.parts
    }


def counts(out):
    return json.loads((out / "counts.json").read_text())


def test_every_document_is_somewhere_exactly_once(corpus):
    ids = Counter(
        document.id for split in ("train", "validation") for document in read_documents(corpus, split)
    )
    ids.update(reject.document.id for reject in read_rejects(corpus))
    assert set(ids.values()) == {1}
    assert sum(ids.values()) == 150 + 6 + 60 + 30
    assert counts(corpus)["steps"][0]["seen"] == 246


def test_planted_documents_are_dropped_for_their_reasons(corpus):
    reasons = {r.document.origin: (r.step, r.reason) for r in read_rejects(corpus)}
    dropped = {n: reasons.get(f"planted/p.jsonl#{n}") for n in range(1, 7)}
    assert dropped[1] == ("choose", "exact_copy")
    assert dropped[2] == ("near_copies", "near_copy") or ("near_copies", "near_copy") in reasons.values()
    assert dropped[3] == ("decontaminate", "evaluation_text")
    assert dropped[4] is None
    assert dropped[5] == ("length", "too_short")
    assert dropped[6] is not None


def test_contamination_names_the_evaluation_file_and_item(corpus):
    matches = [json.loads(line) for line in (corpus / "contamination.jsonl").read_text().splitlines()]
    assert [(m["origin"], m["evaluation"], m["item"]) for m in matches] == [
        ("planted/p.jsonl#3", "exam/test.jsonl", QUESTION)
    ]


def test_evaluation_files_are_no_training_data(corpus):
    everything = [*read_documents(corpus), *read_documents(corpus, "validation")]
    assert not any(document.source == "exam" or QUESTION in document.text for document in everything)


def test_personal_data_is_taken_out(corpus):
    everything = [*read_documents(corpus), *read_documents(corpus, "validation")]
    document = next(d for d in everything if d.origin == "planted/p.jsonl#4")
    assert "010-1234" not in document.text
    assert "kim@" not in document.text
    assert "@naver.com" in document.text


def test_counts_add_up(corpus):
    steps = counts(corpus)["steps"]
    for step, following in pairwise(steps):
        assert step["seen"] == step["kept"] + sum(step["dropped"].values())
        assert step["kept"] == following["seen"]
        for figure in ("seen", "kept", "bytes_seen", "bytes_kept"):
            assert step[figure] == sum(source[figure] for source in step["sources"].values())
    rejects = Counter((reject.step, reject.reason) for reject in read_rejects(corpus))
    said = {(step["name"], reason): n for step in steps for reason, n in step["dropped"].items()}
    assert rejects == said


def test_the_mixture_tells_what_is_there(corpus):
    mixture = read_mixture(corpus)
    assert sum(source.weight for source in mixture.sources) == pytest.approx(1)
    assert {source.name: source.group for source in mixture.sources} == {
        "news": "korean",
        "pages": "other",
        "planted": "korean",
        "programs": "code",
    }
    for source in mixture.sources:
        documents = [d for d in read_documents(corpus) if d.source == source.name]
        assert source.documents == len(documents)
        assert source.bytes == sum(len(d.text.encode()) for d in documents)


def test_something_is_held_out_of_every_source_with_enough(corpus):
    held = Counter(document.source for document in read_documents(corpus, "validation"))
    assert {"news", "pages", "programs"} <= set(held)
    assert sum(held.values()) < 20


def test_the_page_is_self_contained(corpus):
    page = (corpus / "about" / "report.html").read_text()
    assert "exact_copy" in page
    assert "010-1234-5678" not in page
    for fetched in ("http://", "https://", "<script", "<link", "src="):
        assert fetched not in page.replace("http://www.w3.org/2000/svg", "")


def test_nothing_but_about_depends_on_the_run(data, corpus, tmp_path):
    assert digests(run(data, tmp_path)[0]) == digests(corpus)


def test_two_workers_make_the_same_corpus(data, corpus, tmp_path):
    assert digests(run(data, tmp_path, num_workers=2)[0]) == digests(corpus)


def test_another_seed_holds_out_others(data, corpus, tmp_path):
    out, _ = run(data, tmp_path, seed=6)
    held = [{d.id for d in read_documents(folder, "validation")} for folder in (corpus, out)]
    assert held[0] != held[1]


def in_child(data, work, dies_at):
    """Run the stage in a fork of this process that kills itself at its n-th durable change to the disk.

    Gives how many changes there were; -1: it was killed.
    """
    (work / "out").mkdir(parents=True, exist_ok=True)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        changes = 0
        original = os.fsync

        def counted(descriptor):
            nonlocal changes
            changes += 1
            if changes == dies_at:
                os.kill(os.getpid(), signal.SIGKILL)
            original(descriptor)

        try:
            os.fsync = counted
            inputs.TASK_BYTES = 8_000
            shutil.rmtree(work / "out")
            run(data, work)
            os.write(writer, str(changes).encode())
        finally:
            os._exit(0)
    os.close(writer)
    _, status = os.waitpid(child, 0)
    with os.fdopen(reader) as said:
        text = said.read()
    assert text or os.WIFSIGNALED(status), "the child failed by itself"
    return int(text) if text else -1


def test_a_run_killed_anywhere_goes_on_to_the_same_corpus(data, tmp_path):
    changes = in_child(data, tmp_path / "straight", 0)
    assert changes > 60
    rng = random.Random(0)
    killed = 0
    for _ in range(9):
        at = rng.choice([rng.randrange(1, 6), rng.randrange(1, changes)])
        killed += in_child(data, tmp_path / "killed", at) == -1
    assert killed > 2
    assert in_child(data, tmp_path / "killed", 0) > 0
    assert digests(tmp_path / "killed" / "out") == digests(tmp_path / "straight" / "out")


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_workers_end_with_a_killed_run_and_the_next_one_goes_on(data, corpus, tmp_path):
    config = CorpusConfig(evaluation=("exam/**",), num_workers=2)
    (tmp_path / "config.json").write_text(config.model_dump_json())
    (tmp_path / "child.py").write_text(CHILD)
    work = tmp_path / "work"
    arguments = [
        sys.executable,
        str(tmp_path / "child.py"),
        str(data),
        str(work),
        str(tmp_path / "config.json"),
    ]

    def start():
        return subprocess.Popen(arguments, start_new_session=True)

    child = start()
    try:
        wait_until(lambda: any((work / "clean").glob("[0-9]*")) or child.poll() is not None)
        child.send_signal(signal.SIGKILL)
    finally:
        child.kill()
        child.wait()
    # Its session holds the workers and their fork server: all of them must leave by themselves.
    wait_until(lambda: not in_session(child.pid))
    child = start()
    try:
        assert child.wait(timeout=120) == 0
    finally:
        child.kill()
        child.wait()
    assert digests(work / "out") == digests(corpus)


def wait_until(done, seconds=90):
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.05)


def in_session(session):
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            state, _, _, own = (entry / "stat").read_text().rpartition(") ")[2].split()[:4]
        except OSError:
            continue
        if int(own) == session and state != "Z":
            found.append(int(entry.name))
    return found


def test_near_copies_are_never_on_both_sides(tmp_path):
    rng = random.Random(8)
    rows = []
    for _ in range(60):
        text = korean(rng, 12)
        words = text.split()
        for at in rng.sample(range(len(words)), 6):  # alike, but no copies
            words[at] = "무지개"
        rows += [{"text": text}, {"text": " ".join(words)}]
    write_lines(tmp_path / "data" / "pairs" / "p.jsonl", rows)
    out, _ = run(tmp_path / "data", tmp_path, evaluation=[], validation_share=0.3)
    side = {d.origin: split for split in ("train", "validation") for d in read_documents(out, split)}
    pairs = [(side.get(f"pairs/p.jsonl#{n}"), side.get(f"pairs/p.jsonl#{n + 1}")) for n in range(1, 121, 2)]
    both = [pair for pair in pairs if None not in pair]
    assert len(both) > 40
    assert all(one == other for one, other in both)
    assert 5 < sum(one == "validation" for one, _ in both) < 35


def source(name, *paths, **settings):
    return {"name": name, "paths": list(paths), **settings}


def test_a_source_uses_at_most_its_bytes(data, tmp_path):
    sources = [source("news", "news/*", max_bytes=20_000), source("pages", "pages/*")]
    out, _ = run(data, tmp_path, sources=sources)
    news = [d for s in ("train", "validation") for d in read_documents(out, s) if d.source == "news"]
    assert 15_000 < sum(len(d.text.encode()) for d in news) <= 20_000
    choose = next(step for step in counts(out)["steps"] if step["name"] == "choose")
    assert choose["sources"]["news"]["dropped"]["over_max_bytes"] == 150 - len(news)


def test_missing_sources_are_left_out_with_a_note(data, tmp_path):
    out, notes = run(data, tmp_path, sources=[source("news", "news/*"), source("poems", "poems/*")])
    assert [row.name for row in read_mixture(out).sources] == ["news"]
    assert "no files of poems: left out" in notes


def test_folders_are_the_sources_where_none_is_there(data, tmp_path):
    out, notes = run(data, tmp_path, sources=[source("poems", "poems/*")])
    assert {row.name for row in read_mixture(out).sources} == {"news", "pages", "planted", "programs"}
    assert any("none of the sources poems is in" in note for note in notes)


def test_a_missing_evaluation_set_is_said(data, tmp_path):
    _, notes = run(data, tmp_path, evaluation=["nowhere/**"])
    assert any("the evaluation set nowhere/** is not in" in note for note in notes)


def test_licences_and_languages(data, tmp_path):
    sources = [source("news", "news/*", license="CC0-1.0"), source("pages", "pages/*", license="Secret")]
    out, _ = run(data, tmp_path / "a", sources=sources, provenance={"licenses": ["CC0-*"]})
    assert [row.name for row in read_mixture(out).sources] == ["news"]
    assert any(r.reason == "license_not_allowed" for r in read_rejects(out))
    out, _ = run(data, tmp_path / "b", sources=sources, languages=["en"])
    assert {d.language for d in read_documents(out)} == {"en"}


def test_rejects_have_a_limit_and_are_counted_still(data, tmp_path):
    out, _ = run(data, tmp_path, max_reject_megabytes=0.0)
    assert list(read_rejects(out)) == []
    assert sum(sum(step["dropped"].values()) for step in counts(out)["steps"]) >= 5


def test_a_quality_scorer_is_trained_from_examples(data, tmp_path):
    rng = random.Random(3)
    write_lines(tmp_path / "data" / "good" / "g.jsonl", [{"text": korean(rng)} for _ in range(60)])
    spam = [f"지금 바로 클릭 {n} 무료 대박 이벤트 " * 12 for n in range(60)]
    write_lines(tmp_path / "data" / "bad" / "b.jsonl", [{"text": text} for text in spam])
    quality = {
        "good": [source("good", "good/*")],
        "bad": [source("bad", "bad/*")],
        "lowest": 0.5,
    }
    off = {name: {"enabled": False} for name in ("repetition", "advertising", "boilerplate")}
    out, _ = run(
        tmp_path / "data", tmp_path, evaluation=[], quality=quality, filters=off, minhash={"enabled": False}
    )
    dropped = Counter(r.document.source for r in read_rejects(out) if r.reason == "low_quality")
    assert dropped["bad"] > 50
    assert dropped["good"] < 5
    assert all(0.5 <= d.quality <= 1 for d in read_documents(out))
    assert (out / "quality" / "quality.json").exists()


def test_no_data_folder_means_the_generated_corpus(tmp_path):
    out, notes = run(None, tmp_path, evaluation=[], synthetic_megabytes=0.1)
    assert {source.group for source in read_mixture(out).sources} == {"korean", "other", "code"}
    assert {d.license for d in read_documents(out)} == {"CC0-1.0"}
    assert any("--data" in note for note in notes)


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"filters": {"lengths": {}}}, MalmoiError, "lengths"),
        ({"filters": {"length": {"min_chars": 3}}}, ConfigError, r"filters\.length\.min_chars"),
        ({"provenance": {"opt_out": ["none.txt"]}}, InvalidInput, r"none\.txt"),
        ({"filters": {"length": {"min_characters": 10**6}}}, InvalidInput, "no document is left of the 246"),
        ({"evaluation": ["../x"]}, InvalidInput, "leaves the data folder"),
        ({"provenance": {"licenses": ["MIT"]}}, InvalidInput, "license_not_allowed"),
    ],
)
def test_mistakes_are_explained(data, tmp_path, settings, error, words):
    with pytest.raises(error, match=words):
        run(data, tmp_path, **settings)


def test_no_folder_and_no_text_are_explained(tmp_path):
    with pytest.raises(InvalidInput, match="does not exist"):
        run(tmp_path / "none", tmp_path / "a")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match=r"no document could be read from .*empty"):
        run(tmp_path / "empty", tmp_path / "b")
    (tmp_path / "broken" / "s").mkdir(parents=True)
    (tmp_path / "broken" / "s" / "x.jsonl.gz").write_bytes(b"\x1f\x8b broken")
    (tmp_path / "broken" / "s" / "y.parquet").write_bytes(b"PAR1 broken")
    with pytest.raises(InvalidInput, match=r"x\.jsonl\.gz") as raised:
        run(tmp_path / "broken", tmp_path / "c")
    assert "y.parquet" in str(raised.value)


def test_an_unreadable_evaluation_file_stops_the_run(data, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    os.symlink(data / "news", folder / "news")
    write_lines(folder / "texts" / "a.jsonl", [{"text": korean(random.Random(n))} for n in range(5)])
    (folder / "exam").mkdir()
    (folder / "exam" / "bad.jsonl").write_text("{not json\n")
    with pytest.raises(InvalidInput, match=r"exam/bad\.jsonl"):
        run(folder, tmp_path / "w")


def test_two_sources_of_one_name_are_refused():
    with pytest.raises(ValueError, match="two sources are called 'a'"):
        CorpusConfig.model_validate({"sources": [source("a", "x"), source("a", "y")]})


def test_the_fingerprint_changes_with_the_files(data, tmp_path):
    stage, config = CorpusStage(), CorpusConfig(evaluation=("exam/**",))
    write_lines(tmp_path / "s" / "a.jsonl", [{"text": "가"}])
    write_lines(tmp_path / "exam" / "e.jsonl", [{"text": "가"}])
    before = stage.outside(config, tmp_path, tmp_path)
    assert stage.outside(config, tmp_path, tmp_path) == before
    write_lines(tmp_path / "exam" / "e.jsonl", [{"text": "가나"}])
    middle = stage.outside(config, tmp_path, tmp_path)
    write_lines(tmp_path / "s" / "b.jsonl", [{"text": "가"}])
    after = stage.outside(config, tmp_path, tmp_path)
    assert before["evaluation"] != middle["evaluation"]
    assert before["source s"] == middle["source s"] != after["source s"]
    assert stage.outside(config, None, tmp_path) == {}


def test_the_number_of_workers_is_no_part_of_the_key():
    one, two = (CorpusConfig(num_workers=n).result_settings() for n in (1, 2))
    assert one == two
