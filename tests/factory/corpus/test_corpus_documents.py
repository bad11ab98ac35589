import pytest

from malmoi.core.errors import InvalidInput, MalmoiError
from malmoi.core.files import write_json
from malmoi.factory.corpus.documents import (
    Document,
    Reject,
    read_documents,
    read_mixture,
    read_rejects,
    write_documents,
    write_rejects,
)


def documents(count=5):
    return [
        Document(
            f"d{n}", f"글 {n}\n둘째 줄", "책", "ko", "CC0-1.0", f"a/b.jsonl#{n}", n / 8 if n % 2 else None
        )
        for n in range(count)
    ]


def test_documents_come_back_in_order(tmp_path):
    assert write_documents(tmp_path / "train" / "b.parquet", documents(3)) == 3
    assert write_documents(tmp_path / "train" / "a.parquet", documents(2)) == 2
    assert list(read_documents(tmp_path)) == documents(2) + documents(3)


def test_bytes_depend_on_the_documents_alone(tmp_path, monkeypatch):
    monkeypatch.setattr("malmoi.factory.corpus.documents.ROWS_A_GROUP", 2)
    write_documents(tmp_path / "a.parquet", documents())
    write_documents(tmp_path / "b.parquet", iter(documents()))
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.parquet", "b.parquet"]


def test_no_documents_are_a_file_too(tmp_path):
    write_documents(tmp_path / "validation" / "a.parquet", [])
    assert list(read_documents(tmp_path, "validation")) == []


def test_a_writer_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "train" / "a.parquet"
    write_documents(path, documents(2))

    def broken():
        yield from documents(1)
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        write_documents(path, broken())
    assert list(read_documents(tmp_path)) == documents(2)
    assert [p.name for p in path.parent.iterdir()] == ["a.parquet"]


def test_half_a_character_is_named(tmp_path):
    with pytest.raises(MalmoiError, match="half a character"):
        write_documents(tmp_path / "a.parquet", [Document("d", "\ud800", "s", "ko", "x", "o")])


def test_rejects_keep_their_reason(tmp_path):
    rejects = [Reject(document, "length", "short") for document in documents()]
    write_rejects(tmp_path / "rejects" / "a.parquet", rejects)
    assert list(read_rejects(tmp_path)) == rejects


def test_what_cannot_be_read_is_named(tmp_path):
    with pytest.raises(InvalidInput, match="no documents of the split 'train'"):
        list(read_documents(tmp_path))
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "bad.parquet").write_bytes(b"not parquet at all")
    with pytest.raises(InvalidInput, match=r"bad\.parquet"):
        list(read_documents(tmp_path))


def test_the_mixture_is_checked(tmp_path):
    with pytest.raises(InvalidInput, match=r"mixture\.json"):
        read_mixture(tmp_path)
    source = {"name": "a", "group": "korean", "license": "CC0-1.0", "weight": 1.0, "epochs": 1.0}
    write_json(tmp_path / "mixture.json", {"sources": [source]})
    with pytest.raises(InvalidInput, match=r"sources\.0\.documents"):
        read_mixture(tmp_path)
    write_json(tmp_path / "mixture.json", {"sources": [{**source, "documents": 3, "bytes": 10}]})
    assert read_mixture(tmp_path).sources[0].documents == 3
