from pathlib import Path

import pytest

from malmoi.factory.bench.text import choose_text, measure_encoding, measure_vocabulary
from malmoi.factory.corpus.documents import Document, write_documents
from malmoi.factory.tokenizer.splitting import build_backend
from malmoi.factory.tokenizer.writing import write_tokenizer

SENTENCES = ("학교에서 친구를 만났다.", "The function returns a list.", "바람이 불고 비가 내렸다.")


def document(number: int) -> Document:
    text = " ".join(SENTENCES[(number + at) % 3] for at in range(20))
    return Document(f"d{number}", text, "mine", "ko", "CC0-1.0", f"a.txt#{number}")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    (tmp_path / "train").mkdir()
    write_documents(tmp_path / "train" / "a.parquet", [document(number) for number in range(40)])
    return tmp_path


def test_text_is_taken_from_all_over_the_corpus(corpus: Path) -> None:
    everything = choose_text(corpus, max_bytes=10**9)
    assert [each.id for each in everything] == [f"d{number}" for number in range(40)]
    total = sum(len(each.text.encode()) for each in everything)
    half = choose_text(corpus, max_bytes=total // 2 + 1)
    assert [each.id for each in half] == [f"d{number}" for number in range(0, 40, 2)]


def test_encoding_is_compared_with_the_library_repeat_by_repeat(tmp_path: Path, corpus: Path) -> None:
    folder = tmp_path / "tokenizer"
    folder.mkdir()
    write_tokenizer(build_backend([]), folder)
    rows = list(measure_encoding(folder, choose_text(corpus, max_bytes=10**9), repeats=3, batch=8))
    assert [row.name for row in rows] == [
        "factory.encode_ratio",
        "factory.encode_ratio_fast",
        "factory.encode",
    ]
    assert all(len(row.values) == 3 and min(row.values) > 0 for row in rows)
    assert rows[0].goal == 0.9
    assert "encode_batch" in str(rows[0].peer)


def test_vocabularies_of_one_size_are_trained_on_both_sides(corpus: Path) -> None:
    said: list[str] = []
    documents = choose_text(corpus, max_bytes=10**9)
    rows = list(measure_vocabulary(documents, vocab_size=448, repeats=1, say=said.append))
    ours, theirs, ratio = rows
    assert ratio.values == [ours.values[0] / theirs.values[0]]
    assert len(said) == 1
