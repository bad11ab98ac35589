"""Checking a model folder as the hub lays it out: configuration, tokenizer, safetensors, nothing that runs.

Refused: pickled weights, Python and native code anywhere in the folder; `auto_map` or `trust_remote_code` in
any of its JSON files (some loaders run the code that they name even when told not to); links that lead out.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from malmoi.core.errors import ModelFileInvalid
from malmoi.engine.modelfile.folder_tokens import read_tokenizer
from malmoi.engine.modelfile.info import FolderInfo, SafetensorsInfo
from malmoi.engine.modelfile.safetensors import read_safetensors
from malmoi.engine.modelfile.strict_json import read_object

MAX_FILES = 10_000
MAX_JSON_BYTES = 16 << 20
MAX_TOKENIZER_BYTES = 64 << 20
INDEX = "model.safetensors.index.json"
# Formats that a loader would run or unpickle, or that this project has no checked reader for.
REFUSED_SUFFIXES = frozenset({
    ".py", ".pyc", ".pyd", ".so", ".dll", ".dylib", ".exe", ".sh", ".bat", ".pkl", ".pickle", ".pt", ".pth",
    ".bin", ".ckpt", ".joblib", ".npy", ".npz", ".h5", ".keras", ".msgpack", ".mar", ".nemo", ".pb",
    ".tflite", ".onnx", ".zip", ".tar", ".gz", ".whl",
})  # fmt: skip
_RUNS_CODE = ("auto_map", "trust_remote_code", "custom_pipelines")


def read_folder(path: Path, *, finite: bool = False) -> FolderInfo:
    """Check a folder.

    Raises:
        ModelFileInvalid: naming the file and the fault.
    """
    files = list(_files(path))
    names = {file.relative_to(path).as_posix() for file in files}
    if "config.json" not in names:
        raise ModelFileInvalid(f"{path}: there is no config.json, so this is not a model folder.")
    objects = {
        name: read_object(path / name, limit=_json_limit(name))
        for name in sorted(names)
        if name.endswith(".json")
    }
    for name, value in objects.items():
        _refuse_code(name, value)
    config = objects["config.json"]
    weights = {
        name: read_safetensors(path / name, finite=finite)
        for name in sorted(names)
        if name.endswith(".safetensors") and "/" not in name
    }
    if not weights:
        raise ModelFileInvalid(
            f"{path}: there are no .safetensors files.", fix="Only safetensors are read, never pickles."
        )
    _check_index(objects.get(INDEX), weights)
    tokenizer = read_tokenizer(path, objects)
    return FolderInfo(
        architecture=_architecture(config),
        context_length=_context_length(config),
        parameters=sum(info.parameters for info in weights.values()),
        dtypes=tuple(sorted({dtype for info in weights.values() for dtype in info.dtypes})),
        vocab_size=tokenizer.vocab_size or _whole(config.get("vocab_size")) or 0,
        chat_template=tokenizer.chat_template,
        bos_token=tokenizer.bos_token,
        bos_id=tokenizer.bos_id,
        eos_token=tokenizer.eos_token,
        eos_id=tokenizer.eos_id,
        add_bos=tokenizer.add_bos,
        special_tokens=tokenizer.special_tokens,
        files=tuple(sorted(names)),
        size_bytes=sum(file.stat().st_size for file in files),
    )


def check_options(path: Path) -> None:
    """Check one JSON file by itself: well-formed, and asking for no code to be run.

    Raises:
        ModelFileInvalid: naming the file and the fault.
    """
    _refuse_code(path.name, read_object(path, limit=_json_limit(path.name)))


def _files(root: Path) -> Iterator[Path]:
    """All files; refuses what a loader might run and links that lead out."""
    inside = root.resolve()
    for count, entry in enumerate(sorted(root.rglob("*"))):
        name = entry.relative_to(root).as_posix()
        if count >= MAX_FILES:
            raise ModelFileInvalid(f"{root}: has more than {MAX_FILES} files.")
        if entry.is_symlink() and not entry.resolve().is_relative_to(inside):
            raise ModelFileInvalid(f"{name}: is a link that leads out of the folder.")
        if entry.is_dir():
            continue
        if not entry.is_file():
            raise ModelFileInvalid(f"{name}: is not a regular file.")
        if entry.suffix.lower() in REFUSED_SUFFIXES:
            raise ModelFileInvalid(
                f"{name}: files of this kind are never loaded.",
                fix="Keep only configuration, tokenizer and .safetensors files.",
            )
        yield entry


def _json_limit(name: str) -> int:
    return MAX_TOKENIZER_BYTES if name in ("tokenizer.json", "vocab.json") else MAX_JSON_BYTES


def _refuse_code(name: str, value: dict[str, Any]) -> None:
    """No key that makes a loader run code, at any depth (walked with a list: depth costs no stack)."""
    if name in ("tokenizer.json", "vocab.json", INDEX):
        return  # vocabularies and weight maps: their keys are data
    waiting: list[Any] = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            for key in _RUNS_CODE:
                if item.get(key):
                    raise ModelFileInvalid(
                        f"{name}: {key} asks for code from the model's folder to be run.",
                        fix="Use a version of the model that its library supports without custom code.",
                    )
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)


def _check_index(index: dict[str, Any] | None, weights: dict[str, SafetensorsInfo]) -> None:
    """Every tensor is in exactly one file, the one that the index names."""
    held: dict[str, str] = {}
    for name, info in weights.items():
        for tensor in info.tensors:
            if tensor in held:
                raise ModelFileInvalid(f"{name}: the tensor {tensor} is in {held[tensor]} too.")
            held[tensor] = name
    if index is None:
        if len(weights) > 1:
            raise ModelFileInvalid(f"{INDEX}: is missing, with {len(weights)} files of weights.")
        return
    named = index.get("weight_map")
    if not isinstance(named, dict) or not all(isinstance(file, str) for file in named.values()):
        raise ModelFileInvalid(f"{INDEX}: weight_map is not a table of file names.")
    for tensor, file in named.items():
        if held.get(tensor) != file:
            where = f"it is in {held[tensor]}" if tensor in held else "no file holds it"
            raise ModelFileInvalid(f"{INDEX}: says {tensor[:200]} is in {file[:200]}, but {where}.")
    missing = held.keys() - named.keys()
    if missing:
        raise ModelFileInvalid(f"{INDEX}: does not name the tensor {min(missing)}.")


def _architecture(config: dict[str, Any]) -> str:
    named = config.get("architectures")
    if not isinstance(named, list) or not named or not isinstance(named[0], str):
        raise ModelFileInvalid("config.json: architectures does not name a model class.")
    return named[0][:200]


def _context_length(config: dict[str, Any]) -> int | None:
    inner = config.get("text_config")
    for table in (config, inner if isinstance(inner, dict) else {}):
        length = _whole(table.get("max_position_embeddings"))
        if length is not None:
            return length
    return None


def _whole(value: Any) -> int | None:
    return value if type(value) is int and 0 < value < 1 << 31 else None
