"""Trimmed model folders: transformers computes the same logits, and every id is brought along."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from malmoi.core.errors import ModelFileInvalid, Unsupported
from malmoi.engine.modelfile import check_model
from malmoi.factory.tokenizer.trim.folder_file import map_ids
from malmoi.factory.tokenizer.trim.model import open_trimmable
from malmoi.factory.tokenizer.trim.trim import Trimming, TrimSettings
from trim_models import KOREAN, SENTENCES, write_folder_model


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def trim(path: Path, out: Path, size: int = 360) -> list[int]:
    trimming = Trimming(open_trimmable(path, "tiny"), TrimSettings(size=size))
    report = trimming.plan(KOREAN)
    trimming.write(report, out, home=out.parent, measure=False)
    return report.kept


def read(path: Path) -> Any:
    return json.loads(path.read_text())


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("shard", [False, True])
def test_transformers_computes_the_same_logits(tied: bool, shard: bool, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    path = write_folder_model(tmp_path / "tiny", tied=tied, shard=shard)
    kept = trim(path, tmp_path / "out")
    assert check_model(tmp_path / "out").folder is not None
    whole, cut = (AutoModelForCausalLM.from_pretrained(p) for p in (path, tmp_path / "out"))
    tokenizers = [AutoTokenizer.from_pretrained(p) for p in (path, tmp_path / "out")]
    assert cut.config.vocab_size == len(kept) == cut.get_input_embeddings().weight.shape[0]
    for text in KOREAN:
        ids = tokenizers[0](text, return_tensors="pt").input_ids
        new = tokenizers[1](text, return_tensors="pt").input_ids
        assert [kept[token] for token in new[0].tolist()] == ids[0].tolist()
        with torch.no_grad():
            high, low = whole(ids).logits, cut(new).logits
        torch.testing.assert_close(low, high[..., kept], rtol=1e-5, atol=1e-5)


def test_ids_are_brought_along(tmp_path: Path) -> None:
    path = write_folder_model(tmp_path / "tiny")
    (path / "special_tokens.json").write_text(json.dumps({"end": 420, "start": 421}))
    kept = trim(path, tmp_path / "out")
    for name in ("config.json", "generation_config.json"):
        before, after = read(path / name), read(tmp_path / "out" / name)
        for key, value in before.items():
            if key.endswith("_token_id"):
                old, now = (x if isinstance(x, list) else [x] for x in (value, after[key]))
                assert [kept[token] for token in now] == old
            elif key != "vocab_size":
                assert after[key] == value
    special = read(tmp_path / "out" / "special_tokens.json")
    assert {name: kept[token] for name, token in special.items()} == {"end": 420, "start": 421}
    tokenizer = read(tmp_path / "out" / "tokenizer.json")
    assert {kept[entry["id"]] for entry in tokenizer["added_tokens"]} == {420, 421}
    assert kept[tokenizer["post_processor"]["special_tokens"]["<|im_start|>"]["ids"][0]] == 421
    assert not (tmp_path / "out" / "trim.json").read_text().isspace()
    assert read(tmp_path / "out" / "trim.json")["kept"] == kept


def test_any_text_comes_back(tmp_path: Path) -> None:
    from tokenizers import Tokenizer

    path = write_folder_model(tmp_path / "tiny")
    trim(path, tmp_path / "out", size=300)
    tokenizer = Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json"))
    for text in (*SENTENCES, "🙂🫠 ٱلسَّلَامُ 漢字 뷁\u3164 end\n\n\tx"):
        assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False).ids) == text


def test_second_vocabularies_go_and_other_files_stay(tmp_path: Path) -> None:
    path = write_folder_model(tmp_path / "tiny")
    (path / "merges.txt").write_text("a b")
    (path / "README.md").write_text("읽어 주세요")
    (path / "chat_template.jinja").write_text("{{ messages }}")
    trim(path, tmp_path / "out")
    names = {entry.name for entry in (tmp_path / "out").iterdir()}
    assert "merges.txt" not in names
    assert (tmp_path / "out" / "README.md").read_text() == "읽어 주세요"
    assert (tmp_path / "out" / "chat_template.jinja").read_text() == "{{ messages }}"


def test_a_tokenizer_larger_than_the_embedding_is_refused(tmp_path: Path) -> None:
    path = write_folder_model(tmp_path / "tiny")
    config = read(path / "config.json")
    (path / "config.json").write_text(json.dumps(config | {"vocab_size": 100}))
    with pytest.raises(Unsupported, match="no embedding with a row for each of 100 tokens"):
        open_trimmable(path, "tiny")


def test_word_tokenizers_are_refused(tmp_path: Path) -> None:
    path = write_folder_model(tmp_path / "tiny")
    tokenizer = read(path / "tokenizer.json")
    tokenizer["model"] = {"type": "WordPiece", "vocab": {"a": 0}, "unk_token": "a"}
    (path / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(Unsupported, match="'WordPiece', which cannot be trimmed"):
        _ = open_trimmable(path, "tiny").vocabulary


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    path = write_folder_model(tmp_path / "tiny")
    raw = (path / "model.safetensors").read_bytes()
    (path / "model.safetensors").write_bytes(struct.pack("<Q", 1 << 40) + raw[8:])
    with pytest.raises(ModelFileInvalid, match=r"model\.safetensors"):
        open_trimmable(path, "tiny")


def test_ids_are_found_at_any_depth() -> None:
    value = {
        "eos_token_id": [1, 2],
        "text_config": {"pad_token_id": 3, "layers": [1, 2]},
        "suppress_tokens": [2, 9],
        "image_token_index": 1,
        "num_layers": 2,
        "decoder_start_token_id": None,
    }
    new = {1: 10, 2: 20, 3: 30}
    assert map_ids(value, new.get) == {
        "eos_token_id": [10, 20],
        "text_config": {"pad_token_id": 30, "layers": [1, 2]},
        "suppress_tokens": [20],
        "image_token_index": 10,
        "num_layers": 2,
        "decoder_start_token_id": None,
    }
