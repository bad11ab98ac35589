from pathlib import Path

import pytest
from tokenizer_samples import ParticleAnalyzer, WordwiseAnalyzer, documents, trained

from malmoi.core.errors import InvalidInput
from malmoi.core.stage import SilentProgress
from malmoi.factory.corpus.documents import Document
from malmoi.factory.tokenizer.report import TokenizerReport, choose_documents, measure, render_table, slice_of
from malmoi.factory.tokenizer.report_page import pieces, render_report
from malmoi.factory.tokenizer.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tokenizer]:
    made = {}
    for kind in ("morpheme", "byte", "character"):
        work = tmp_path_factory.mktemp(kind)
        backend = trained(work, ParticleAnalyzer(), kind=kind, vocab_size=1024).backend
        made[kind] = Tokenizer(backend, eot_id=0, name=kind)
    return made


def measured(tokenizers: dict[str, Tokenizer], texts: dict[str, list[str]]) -> TokenizerReport:
    return measure(
        tokenizers, texts, boundaries=["j"], progress=SilentProgress(), analyzer=WordwiseAnalyzer()
    )


def test_figures_are_those_of_the_text(tokenizers: dict[str, Tokenizer]) -> None:
    text = "학교에서 시민이 음식을"
    report = measured(tokenizers, {"ko": [text, text]})
    of = report.slices["ko"]
    assert (of.documents, of.words, of.boundaries, of.bytes) == (2, 6, 6, 2 * len(text.encode()))
    score = report.scores["character"]["ko"]
    assert score.tokens == 2 * len(text)
    assert score.tokens_per_document == len(text)
    assert score.bytes_per_token == pytest.approx(len(text.encode()) / len(text))
    assert score.fertility == pytest.approx(len(text) / 3)
    assert (score.crossed, score.exact) == (0.0, 1.0)
    assert report.scores["morpheme"]["ko"].ratio == 1.0
    assert score.ratio == score.tokens / report.scores["morpheme"]["ko"].tokens


def test_words_cross_what_morphemes_respect(tokenizers: dict[str, Tokenizer]) -> None:
    texts = choose_documents(documents(30, seed=3))
    report = measured(tokenizers, texts)
    crossed = {name: scores["ko"].crossed for name, scores in report.scores.items()}
    assert crossed["morpheme"] < 0.05
    assert crossed["byte"] > 0.5
    assert report.scores["byte"]["en"].crossed is None


def test_documents_are_chosen_by_their_ids(tokenizers: dict[str, Tokenizer]) -> None:
    docs = documents(90)
    texts = choose_documents(docs, slice_bytes=3000)
    assert texts == choose_documents(docs[::-1], slice_bytes=3000)
    assert list(texts) == ["ko", "en", "code"]
    assert all(2990 < sum(len(t.encode()) for t in chosen) <= 3000 for chosen in texts.values())
    with pytest.raises(InvalidInput, match="held-out"):
        choose_documents([])


@pytest.mark.parametrize(
    ("text", "origin", "name"),
    [
        ("학교에서 만난 친구", "a.txt#1", "ko"),
        ("print('학교')", "a.py#1", "code"),
        ("a plain sentence", "a.txt#1", "en"),
        ("これはペンです", "a.txt#1", "ja"),
        ("это слово", "a.txt#1", "other"),
        ("123", "a.txt#1", "other"),
    ],
)
def test_slices_of_documents_that_say_nothing(text: str, origin: str, name: str) -> None:
    assert slice_of(Document("1", text, "s", "auto", "", origin)) == name


def test_tables_and_pages_show_everything_and_run_nothing(tokenizers: dict[str, Tokenizer]) -> None:
    report = measured(tokenizers, {"ko": ["학교에서 시민이"], "<script>": ["plain text"]})
    table = render_table(report)
    assert all(name in table for name in (*tokenizers, "crossed", "<script>"))
    page = render_report(report, samples={"ko": ["<b>", "학교"]}, notes=["a & b"])
    assert "<script>" not in page
    assert "&lt;b&gt;" in page
    assert "a &amp; b" in page


def test_pieces_show_parts_of_characters(tokenizers: dict[str, Tokenizer]) -> None:
    found = pieces(tokenizers["morpheme"], "학교 힣")
    assert [text for _, text in found][:1] == ["학교"]
    assert found[-1][1].startswith("\\x")


def test_kiwi_is_read_as_expected(tmp_path: Path) -> None:
    pytest.importorskip("kiwipiepy")
    from malmoi.factory.tokenizer.morphemes import BOUNDARIES, cut_points, open_analyzer

    kiwi = open_analyzer(1)
    words = ["학교에서는", "먹었습니다", "친구했다", "갔다"]
    cuts = [cut_points(found, BOUNDARIES) for found in kiwi.tokenize(iter(words))]
    assert cuts == [[2, 4], [1, 2], [2, 3], [1]]
    made = trained(tmp_path, kiwi, vocab_size=1024)
    tokenizer = Tokenizer(made.backend, eot_id=0)
    assert [text for _, text in pieces(tokenizer, "학교에서 시민까지")] == ["학교", "에서", " 시민", "까지"]
