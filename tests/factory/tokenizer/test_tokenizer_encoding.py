import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizer_samples import ParticleAnalyzer, trained

from malmoi.core.errors import InvalidInput, ModelFileInvalid
from malmoi.factory.tokenizer.special_tokens import special_tokens
from malmoi.factory.tokenizer.splitting import FIRST_BYTE
from malmoi.factory.tokenizer.tokenizer import Tokenizer, copy_tokenizer
from malmoi.factory.tokenizer.writing import write_tokenizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tokenizer")
    made = trained(tmp_path_factory.mktemp("work"), ParticleAnalyzer())
    write_tokenizer(made.backend, out)
    return out


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> Tokenizer:
    return Tokenizer.load(folder)


@settings(deadline=None, max_examples=200)
@given(st.text())
def test_any_text_comes_back(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == unicodedata.normalize("NFC", text)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.text(), max_size=4))
def test_batches_equal_single_texts_and_bytes_add_up(tokenizer: Tokenizer, texts: list[str]) -> None:
    for text, ids in zip(texts, tokenizer.encode_batch(texts), strict=True):
        assert ids.dtype == np.uint32
        assert ids.tolist() == tokenizer.encode(text)
        joined = b"".join(tokenizer.token_bytes(number) for number in ids)
        assert joined == unicodedata.normalize("NFC", text).encode()


@pytest.mark.parametrize("name", special_tokens()[:36])
def test_content_never_becomes_a_control_token(tokenizer: Tokenizer, name: str) -> None:
    text = f"학교에서 {name}시민이{name}"
    ids = tokenizer.encode(text)
    assert min(ids) >= FIRST_BYTE
    assert min(tokenizer.encode_batch([text])[0]) >= FIRST_BYTE
    assert tokenizer.decode(ids) == text


def test_digits_are_single_tokens_wherever_they_stand(tokenizer: Tokenizer) -> None:
    def pieces(text: str) -> list[bytes]:
        return [tokenizer.token_bytes(number) for number in tokenizer.encode(text)]

    assert pieces("x = 12")[-2:] == pieces("x =12")[-2:] == [b"1", b"2"]
    assert [p for p in pieces("2026년 3.14") if p.isdigit()] == [bytes([b]) for b in b"2026314"]


def test_jamo_typed_apart_are_read_as_syllables(tokenizer: Tokenizer) -> None:
    apart = unicodedata.normalize("NFD", "학교에서")
    assert tokenizer.encode(apart) == tokenizer.encode("학교에서")
    assert tokenizer.decode(tokenizer.encode("ㅋㅋ ㅠㅠ")) == "ㅋㅋ ㅠㅠ"  # what stands alone stays alone


def test_control_tokens_have_their_ids(tokenizer: Tokenizer) -> None:
    assert tokenizer.eot_id == 0
    assert list(tokenizer.special)[:128] == list(special_tokens())
    assert list(tokenizer.special.values())[:128] == list(range(128))
    assert tokenizer.token_bytes(9) == b"<|im_end|>"
    assert tokenizer.decode([9, *tokenizer.encode("시민")], skip_special=True) == "시민"
    assert tokenizer.decode([9, *tokenizer.encode("시민")]) == "<|im_end|>시민"


def test_transformers_reads_the_folder_alike(folder: Path, tokenizer: Tokenizer) -> None:
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(folder)
    for text in ("학교에서 친구들과 <밥>을 먹었다.\n\n  return 12", " 끝 ", "😀 é"):
        ids = theirs(text, add_special_tokens=True)["input_ids"]
        assert ids == tokenizer.encode(text)
        assert theirs.decode(ids) == text
    assert len(theirs) == tokenizer.vocab_size
    assert (theirs.eos_token_id, theirs.pad_token_id) == (0, 1)
    assert theirs.convert_tokens_to_ids("<|im_start|>") == 8
    assert theirs("<|im_start|>")["input_ids"] == [8]  # templates may write them
    assert theirs.chat_template is None  # a base model


def test_folders_are_copied_whole(folder: Path, tmp_path: Path) -> None:
    names = copy_tokenizer(folder, tmp_path / "copy")
    assert set(names) == {path.name for path in folder.iterdir()}
    assert Tokenizer.load(tmp_path / "copy").encode("학교") == Tokenizer.load(folder).encode("학교")
    with pytest.raises(ModelFileInvalid, match=r"no tokenizer\.json"):
        copy_tokenizer(tmp_path, tmp_path / "other")


def test_broken_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelFileInvalid, match=r"no tokenizer\.json"):
        Tokenizer.load(tmp_path)
    file = tmp_path / "tokenizer.json"
    for content in (b"{", b"\xff\xfe", b"[]", json.dumps({"model": {}}).encode()):
        file.write_bytes(content)
        with pytest.raises(ModelFileInvalid, match=r"tokenizer\.json"):
            Tokenizer.load(tmp_path)


def test_a_tokenizer_without_an_end_says_so(tmp_path: Path) -> None:
    from tokenizers import Tokenizer as Backend
    from tokenizers import models

    Backend(models.BPE(vocab={"a": 0, "</s>": 1}, merges=[])).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(InvalidInput, match="end-of-text"):
        _ = Tokenizer.load(tmp_path).eot_id
    (tmp_path / "tokenizer_config.json").write_text('{"eos_token": {"content": "</s>"}}')
    assert Tokenizer.load(tmp_path).eot_id == 1
    with pytest.raises(InvalidInput, match="no token 7"):
        Tokenizer.load(tmp_path).token_bytes(7)
