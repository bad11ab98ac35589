import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from malmoi.core.errors import ModelFileInvalid
from malmoi.engine.modelfile.folder import read_folder
from model_files import safetensors_bytes, write_folder


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_right_folder_says_what_it_is(tmp_path: Path) -> None:
    info = read_folder(write_folder(tmp_path / "model"), finite=True)
    assert (info.architecture, info.context_length, info.parameters) == ("LlamaForCausalLM", 256, 40)
    assert (info.vocab_size, info.chat_template, info.add_bos) == (6, "{{ messages }}", True)
    assert (info.bos_token, info.bos_id, info.eos_token, info.eos_id) == ("<s>", 1, "</s>", 2)
    assert [(token.text, token.kind) for token in info.special_tokens] == [
        ("<s>", "control"), ("</s>", "control"), ("<think>", "user_defined"),
    ]  # fmt: skip
    assert "model.safetensors" in info.files


def test_shards_with_their_index_are_read(tmp_path: Path) -> None:
    assert read_folder(write_folder(tmp_path / "model", shards=3)).parameters == 12


def test_the_template_file_goes_before_the_option(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "model")
    (folder / "chat_template.jinja").write_text("{# file #}")
    assert read_folder(folder).chat_template == "{# file #}"


def test_links_that_stay_inside_are_followed(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "model")
    (folder / "blobs").mkdir()
    (folder / "model.safetensors").rename(folder / "blobs" / "weights")
    (folder / "model.safetensors").symlink_to("blobs/weights")
    assert read_folder(folder).parameters == 40


def refused_file(name: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"x")

    return spoil


def escape(folder: Path) -> None:
    (folder.parent / "outside.safetensors").write_bytes(safetensors_bytes())
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to("../outside.safetensors")


def big_tokenizer(folder: Path) -> None:
    with (folder / "tokenizer.json").open("r+b") as file:
        file.truncate((64 << 20) + 1)


def double_key(folder: Path) -> None:
    (folder / "config.json").write_text('{"architectures": ["A"], "architectures": ["B"]}')


def config(**changes: Any) -> Callable[[Path], None]:
    return lambda folder: edit(folder / "config.json", **changes)


def tokenizer_config(**changes: Any) -> Callable[[Path], None]:
    return lambda folder: edit(folder / "tokenizer_config.json", **changes)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (config(auto_map={"AutoModel": "modeling.X"}), "config.json: auto_map"),
        (config(text_config={"auto_map": {"AutoModel": "m.X"}}), "config.json: auto_map"),
        (config(trust_remote_code=True), "trust_remote_code"),
        (tokenizer_config(auto_map={"AutoTokenizer": ["t.T", None]}), "tokenizer_config.json: auto_map"),
        (refused_file("modeling_x.py"), "modeling_x.py"),
        (refused_file("sub/evil.PKL"), "sub/evil.PKL"),
        (refused_file("pytorch_model.bin"), "pytorch_model.bin"),
        (refused_file("consolidated.00.pth"), "consolidated.00.pth"),
        (refused_file("x.pt"), "x.pt"),
        (refused_file("x.ckpt"), "x.ckpt"),
        (escape, "leads out"),
        (big_tokenizer, "tokenizer.json: has"),
        (double_key, "'architectures' comes twice"),
        (config(architectures=[]), "architectures"),
        (tokenizer_config(chat_template="x" * (1 << 20) + "x"), "chat_template"),
        (tokenizer_config(chat_template=5), "chat_template"),
        (lambda folder: (folder / "config.json").unlink(), "no config.json"),
        (lambda folder: (folder / "model.safetensors").unlink(), "no .safetensors"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"x" * 200), "model.safetensors"),
        (lambda folder: edit(folder / "tokenizer.json", added_tokens=[{"id": -1}]), "added_tokens"),
    ],
)
def test_what_must_not_be_loaded_is_refused_by_name(
    spoil: Callable[[Path], None], words: str, tmp_path: Path
) -> None:
    folder = write_folder(tmp_path / "model")
    spoil(folder)
    with pytest.raises(ModelFileInvalid, match=words):
        read_folder(folder)


FIRST = "model-00001-of-00002.safetensors"


def index(change: Callable[[dict[str, str]], None]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        path = folder / "model.safetensors.index.json"
        found = json.loads(path.read_text())
        change(found["weight_map"])
        path.write_text(json.dumps(found))

    return spoil


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (index(lambda m: m.update({"layer.1.weight": "../../x.safetensors"})), "says layer.1.weight is in"),
        (index(lambda m: m.update({"layer.9.weight": FIRST})), "no file holds it"),
        (index(lambda m: m.pop("layer.2.weight")), "does not name the tensor layer.2.weight"),
        (index(lambda m: m.update({"layer.1.weight": 7})), "weight_map"),  # type: ignore[dict-item]
        (lambda f: (f / "model.safetensors.index.json").unlink(), "is missing"),
        (lambda f: (f / "model-00002-of-00002.safetensors").unlink(), "no file holds it"),
        (lambda f: (f / "more.safetensors").write_bytes((f / FIRST).read_bytes()), "too"),
    ],
)  # fmt: skip
def test_an_index_that_does_not_fit_is_refused(
    spoil: Callable[[Path], None], words: str, tmp_path: Path
) -> None:
    folder = write_folder(tmp_path / "model", shards=2)
    spoil(folder)
    with pytest.raises(ModelFileInvalid, match=words):
        read_folder(folder)
