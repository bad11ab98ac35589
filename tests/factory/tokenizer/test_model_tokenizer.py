import os
from pathlib import Path

import pytest
from tokenizer_samples import trained

from malmoi.core.errors import NotFound
from malmoi.core.stage import StageContext
from malmoi.core.store import Store
from malmoi.factory.tokenizer.model_stage import ModelTokenizerConfig, ModelTokenizerStage
from malmoi.factory.tokenizer.tokenizer import Tokenizer
from malmoi.factory.tokenizer.writing import write_tokenizer


def small_tokenizer(folder: Path) -> Path:
    write_tokenizer(trained(folder.parent / "training", kind="byte").backend, folder)
    return folder


def run(model: str, folder: Path) -> Path:
    work, out = folder / "work", folder / "out"
    work.mkdir()
    out.mkdir()
    context = StageContext(store=Store(folder / "store"), name="t", work=work, seed=0, home=folder)
    ModelTokenizerStage().run(ModelTokenizerConfig(model=model), {}, out, context)
    return out


def test_the_tokenizer_of_a_folder_keeps_its_ids(tmp_path: Path) -> None:
    folder = small_tokenizer(tmp_path / "model")
    out = run(str(folder), tmp_path)
    text = "한국어 문서 one two 12"
    assert Tokenizer.load(out).encode(text) == Tokenizer.load(folder).encode(text)
    assert Tokenizer.load(out).eot_id == Tokenizer.load(folder).eot_id


def test_a_changed_model_is_noticed(tmp_path: Path) -> None:
    folder = small_tokenizer(tmp_path / "model")
    stage, config = ModelTokenizerStage(), ModelTokenizerConfig(model=str(folder))
    before = stage.outside(config, None, tmp_path)
    assert stage.outside(config, None, tmp_path) == before
    os.utime(folder / "tokenizer.json", (1, 1))
    assert stage.outside(config, None, tmp_path) != before


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="nowhere"):
        ModelTokenizerStage().outside(ModelTokenizerConfig(model="nowhere"), None, tmp_path)


@pytest.mark.e2e
def test_the_tokenizer_inside_a_gguf_file(tmp_path: Path) -> None:
    model = os.environ.get("MALMOI_TEST_MODEL")
    if not model:
        pytest.skip("MALMOI_TEST_MODEL does not name a model file")
    tokenizer = Tokenizer.load(run(model, tmp_path))
    assert tokenizer.vocab_size > 200_000
    assert tokenizer.decode(tokenizer.encode("안녕하세요, 세계!")) == "안녕하세요, 세계!"
    assert tokenizer.eot_id >= 0
