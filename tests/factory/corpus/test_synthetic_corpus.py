"""The project's own corpus: right Korean, right sums, programs that run, and the same bytes every time."""

import doctest
import gzip
import hashlib
import json
import os
import re
import subprocess
import sys
from itertools import islice
from pathlib import Path
from random import Random
from types import ModuleType

import pytest

from malmoi.core.errors import Conflict, InvalidInput
from malmoi.factory.corpus.synthetic import generate, iter_texts
from malmoi.factory.corpus.synthetic.conjugate import Conjugator, Irregulars
from malmoi.factory.corpus.synthetic.grammar import ENGLISH, KOREAN, Grammar, Scene, arithmetic
from malmoi.factory.corpus.synthetic.world import build_grammar, build_tables, read_data

KINDS = ("korean", "english", "pairs", "code")


@pytest.fixture(scope="module")
def conjugator() -> Conjugator:
    irregular = read_data("world")["irregular"]
    return Conjugator(
        Irregulars(
            kinds={verb: kind for kind in "ㅂㄷㅅㅎ" for verb in irregular[kind].split()},
            adjectives=frozenset(read_data("world")["adjectives"]["words"].split()),
            rieul=frozenset(irregular["rieul"].split()),
        )
    )


@pytest.mark.parametrize(
    ("verb", "forms"),
    [
        ("가다", "간다 가요 갑니다 갔다 갔어요 갔습니다"),
        ("먹다", "먹는다 먹어요 먹습니다 먹었다 먹었어요 먹었습니다"),
        ("살다", "산다 살아요 삽니다 살았다 살았어요 살았습니다"),
        ("돕다", "돕는다 도와요 돕습니다 도왔다 도왔어요 도왔습니다"),
        ("춥다", "춥다 추워요 춥습니다 추웠다 추웠어요 추웠습니다"),
        ("듣다", "듣는다 들어요 듣습니다 들었다 들었어요 들었습니다"),
        ("짓다", "짓는다 지어요 짓습니다 지었다 지었어요 지었습니다"),
        ("흐르다", "흐른다 흘러요 흐릅니다 흘렀다 흘렀어요 흘렀습니다"),
        ("부르다", "부른다 불러요 부릅니다 불렀다 불렀어요 불렀습니다"),
        ("따르다", "따른다 따라요 따릅니다 따랐다 따랐어요 따랐습니다"),
        ("쓰다", "쓰다 써요 씁니다 썼다 썼어요 썼습니다"),
        ("모으다", "모은다 모아요 모읍니다 모았다 모았어요 모았습니다"),
        ("하다", "한다 해요 합니다 했다 했어요 했습니다"),
        ("오다", "온다 와요 옵니다 왔다 왔어요 왔습니다"),
        ("배우다", "배운다 배워요 배웁니다 배웠다 배웠어요 배웠습니다"),
        ("마시다", "마신다 마셔요 마십니다 마셨다 마셨어요 마셨습니다"),
        ("되다", "된다 돼요 됩니다 됐다 됐어요 됐습니다"),
        ("쉬다", "쉰다 쉬어요 쉽니다 쉬었다 쉬었어요 쉬었습니다"),
        ("보내다", "보낸다 보내요 보냅니다 보냈다 보냈어요 보냈습니다"),
        ("파랗다", "파랗다 파래요 파랗습니다 파랬다 파랬어요 파랬습니다"),
        ("하얗다", "하얗다 하얘요 하얗습니다 하얬다 하얬어요 하얬습니다"),
        ("좋다", "좋다 좋아요 좋습니다 좋았다 좋았어요 좋았습니다"),
        ("있다", "있다 있어요 있습니다 있었다 있었어요 있었습니다"),
        ("아니다", "아니다 아니에요 아닙니다 아니었다 아니었어요 아니었습니다"),
    ],
)
def test_predicates_in_three_styles(conjugator: Conjugator, verb: str, forms: str) -> None:
    made = [
        conjugator.form(verb, ending, style)
        for ending in ("다", "았다")
        for style in ("plain", "polite", "formal")
    ]
    if verb == "쓰다":  # both "write" (쓴다) and "bitter" (쓰다); the grammar writes
        made[0] = made[0].replace("쓴다", "쓰다")
    assert " ".join(made) == forms


@pytest.mark.parametrize(
    ("verb", "ending", "style", "form"),
    [
        ("가다", "으면", "plain", "가면"),
        ("먹다", "으면", "plain", "먹으면"),
        ("살다", "으면", "plain", "살면"),
        ("돕다", "으면", "plain", "도우면"),
        ("듣다", "으면", "plain", "들으면"),
        ("짓다", "으려고", "plain", "지으려고"),
        ("살다", "는", "plain", "사는"),
        ("춥다", "은", "plain", "추운"),
        ("길다", "은", "plain", "긴"),
        ("높다", "은", "plain", "높은"),
        ("듣다", "은", "plain", "들은"),
        ("만들다", "을", "plain", "만들"),
        ("있다", "는데", "plain", "있는데"),
        ("크다", "는데", "plain", "큰데"),
        ("가다", "시다", "formal", "가십니다"),
        ("먹다", "시다", "polite", "먹으세요"),
        ("만들다", "시았다", "plain", "만드셨다"),
        ("가다", "을것", "polite", "갈 거예요"),
        ("읽다", "자", "formal", "읽읍시다"),
        ("가다", "자", "formal", "갑시다"),
        ("되다", "겠다", "formal", "되겠습니다"),
        ("굽다", "아서", "plain", "구워서"),
        ("보다", "았던", "plain", "봤던"),
    ],
)
def test_other_endings(conjugator: Conjugator, verb: str, ending: str, style: str, form: str) -> None:
    assert conjugator.form(verb, ending, style) == form


@pytest.mark.parametrize(
    ("plain", "polite", "formal"),
    [
        ("알을 낳는다", "알을 낳아요", "알을 낳습니다"),
        ("무리를 지어 산다", "무리를 지어 살아요", "무리를 지어 삽니다"),
        ("남쪽으로 간다", "남쪽으로 가요", "남쪽으로 갑니다"),
        ("기름을 짰다", "기름을 짰어요", "기름을 짰습니다"),
        ("뿔이 없다", "뿔이 없어요", "뿔이 없습니다"),
        ("물속에서는 빠르다", "물속에서는 빨라요", "물속에서는 빠릅니다"),
        ("가구를 만든다", "가구를 만들어요", "가구를 만듭니다"),
    ],
)
def test_sentences_change_style(conjugator: Conjugator, plain: str, polite: str, formal: str) -> None:
    assert conjugator.restyled(plain, "polite") == polite
    assert conjugator.restyled(plain, "formal") == formal
    assert conjugator.restyled(plain, "plain") == plain


def test_what_is_no_verb_is_refused(conjugator: Conjugator) -> None:
    with pytest.raises(ValueError, match="dictionary form"):
        conjugator.form("가", "고")
    with pytest.raises(ValueError, match="ending"):
        conjugator.form("가다", "므로서")


@pytest.fixture(scope="module")
def grammar() -> Grammar:
    return build_grammar(read_data("world"))


def render(grammar: Grammar, pattern: str, *, language: int = KOREAN, style: int = 0) -> str:
    tables = {"animal": [{"name": ("수달", "otter")}], "tree": [{"name": ("소나무", "pine")}]}
    return grammar.compile(pattern)(Scene(Random(1), language, style, tables))


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("{animal:은/는} {tree:을/를}", "수달은 소나무를"),
        ("{animal:으로/로} {tree:으로/로}", "수달로 소나무로"),
        ("{animal:이다} {tree:이다}", "수달이다 소나무다"),
        ("{#3..3=n:*마리} {=n*7:이/가} {=n+2}개", "세 마리 21이 5개"),
        ("{'까닭:이다}", "까닭이다"),
        ("{만들다.았다}", "만들었다"),
    ],
)
def test_slots(grammar: Grammar, pattern: str, text: str) -> None:
    assert render(grammar, pattern) == text


def test_english_slots(grammar: Grammar) -> None:
    assert render(grammar, "{animal:a} {tree:a} {animal:s}", language=ENGLISH) == "an otter a pine otters"
    assert [grammar.plural(noun) for noun in ("box", "berry", "wolf", "bamboo basket", "key", "bench")] == [
        "boxes", "berries", "wolves", "bamboo baskets", "keys", "benches",
    ]  # fmt: skip


def test_a_wrong_slot_is_named(grammar: Grammar) -> None:
    with pytest.raises(ValueError, match=r"\{a b\}.*cannot be read"):
        grammar.compile("x {a b}")
    with pytest.raises(ValueError, match="not arithmetic"):
        arithmetic("__import__('os')")


@pytest.mark.parametrize("name", KINDS)
def test_every_pattern_can_be_rendered(name: str) -> None:
    texts = list(islice(iter_texts(name, 5), 900))
    assert len({text.text for text in texts}) > 895
    for text in texts:
        assert not re.search(r"[{}$]", text.text) or name == "code", text.text
        assert "None" not in text.text or name == "code"
        assert text.text.endswith("\n")
        assert "  " not in text.text or name == "code", text.text


def test_particles_fit_the_words_before_them() -> None:
    wrong = re.compile(r"[가-힣]*(?:강는|강를|강가 처음|시은|시을|천는|마을는|마을를|읍는|군는|[0-9]개을)")
    for text in islice(iter_texts("korean", 11), 2000):
        assert not wrong.search(text.text), wrong.search(text.text)
        assert "은(는)" not in text.text


def test_the_sums_are_right() -> None:
    signs = {
        "+": lambda a, b: a + b,
        "-": lambda a, b: a - b,
        "×": lambda a, b: a * b,
        "÷": lambda a, b: a / b,
    }
    checked = 0
    for name in ("korean", "english"):
        for text in islice(iter_texts(name, 3), 1200):
            if text.kind != "problems":
                continue
            for a, sign, b, result in re.findall(r"(?<![+×÷-] )\b(\d+) ([+×÷-]) (\d+) = (\d+)", text.text):
                assert signs[sign](int(a), int(b)) == int(result), text.text
                checked += 1
    assert checked > 150


def test_programs_run_and_their_examples_hold() -> None:
    runner = doctest.DocTestRunner(verbose=False)
    finder = doctest.DocTestFinder()
    report: list[str] = []
    for number, text in enumerate(islice(iter_texts("code", 9), 200)):
        module = ModuleType(f"program_{number}")
        exec(compile(text.text, module.__name__, "exec"), module.__dict__)
        for test in finder.find(module, module.__name__):
            runner.run(test, out=report.append)
    assert runner.failures == 0, "".join(report)[:2000]
    assert runner.tries > 800


def test_facts_are_the_same_everywhere() -> None:
    tables = build_tables(read_data("world"), 4)
    again = build_tables(read_data("world"), 4)
    assert [town["full"] for town in tables["town"]] == [town["full"] for town in again["town"]]
    assert len({person["name"] for person in tables["person"]}) == len(tables["person"])
    assert [town["full"] for town in tables["town"]] != [
        town["full"] for town in build_tables(read_data("world"), 5)["town"]
    ]
    people = {person["name"]: person for person in tables["person"]}
    for language, pattern in (
        ("korean", r"^(\S+)[은는] (\d{4})년 (\S+)에서 태어"),
        ("english", r"^(\w+ \w+) was born in (\w+) in (\d{4})"),
    ):
        seen = 0
        for text in islice(iter_texts(language, 4), 1200):
            match = re.search(pattern, text.text, re.M)
            if text.kind != "person" or match is None:
                continue
            half = 0 if language == "korean" else 1
            named = [person for name, person in people.items() if name[half] == match[1]]
            year = match[2] if half == 0 else match[3]
            assert any(str(person["born"]) == year for person in named)
            seen += 1
        assert seen > 50


def test_texts_are_varied() -> None:
    for name, least in (("korean", 0.8), ("english", 0.6), ("pairs", 0.6), ("code", 0.6)):
        grams, total = set(), 0
        for text in islice(iter_texts(name, 2), 400):
            words = text.text.split()
            for start in range(len(words) - 7):
                grams.add(tuple(words[start : start + 8]))
                total += 1
        assert len(grams) / total > least, (name, len(grams) / total)


def tree(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_same_seed_gives_the_same_bytes_in_any_process(tmp_path: Path) -> None:
    generate(tmp_path / "a", seed=1, megabytes=0.2)
    program = (
        "from pathlib import Path; from malmoi.factory.corpus.synthetic import generate;"
        f"generate(Path({str(tmp_path / 'b')!r}), seed=1, megabytes=0.2)"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)
    generate(tmp_path / "c", seed=2, megabytes=0.2)
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    assert tree(tmp_path / "a") != tree(tmp_path / "c")


def test_what_is_written(tmp_path: Path) -> None:
    generate(tmp_path / "corpus", seed=1, megabytes=0.5)
    assert "CC0-1.0" in (tmp_path / "corpus" / "README.md").read_text(encoding="utf-8")
    size = 0
    suffixes = set()
    for path in (tmp_path / "corpus").rglob("*"):
        suffixes.add(path.suffix)
        if path.suffix == ".gz":
            rows = [json.loads(line) for line in gzip.decompress(path.read_bytes()).decode().splitlines()]
            assert {row["license"] for row in rows} == {"CC0-1.0"}
            assert len({row["id"] for row in rows}) == len(rows)
            size += sum(len(row["text"].encode()) for row in rows)
        elif path.is_file() and path.name != "README.md":
            size += path.stat().st_size
    assert suffixes == {"", ".gz", ".md", ".txt"}
    assert 0.5e6 <= size < 0.52e6


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(Conflict, match="not empty"):
        generate(tmp_path, seed=1, megabytes=0.1)
    assert (tmp_path / "mine.txt").read_text() == "mine"
    with pytest.raises(InvalidInput, match="-1 megabytes"):
        generate(tmp_path / "new", seed=1, megabytes=-1)
    assert not (tmp_path / "new").exists()
