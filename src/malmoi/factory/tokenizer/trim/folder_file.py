"""A model folder as trimming sees it: its JSON files, its weights' places, and its vocabulary."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from malmoi.core.errors import ModelFileInvalid, Unsupported
from malmoi.engine.modelfile import FolderInfo
from malmoi.engine.modelfile.cursor import open_file
from malmoi.engine.modelfile.folder import MAX_JSON_BYTES, MAX_TOKENIZER_BYTES, read_folder
from malmoi.engine.modelfile.safetensors import Span, read_spans
from malmoi.engine.modelfile.strict_json import read_object
from malmoi.factory.tokenizer.trim.merged import MergedVocabulary
from malmoi.factory.tokenizer.trim.unigram import UnigramVocabulary
from malmoi.factory.tokenizer.trim.vocabulary import PLACEHOLDER, Vocabulary

ID_KEYS = ("_token_id", "_token_ids", "_token_index", "suppress_tokens")
"""Endings of the configuration keys that hold token ids, one or a list."""


@dataclass(frozen=True, slots=True)
class Weights:
    """One safetensors file: its tensors, where its data begins, and its free-form metadata."""

    path: Path
    spans: tuple[Span, ...]
    data_offset: int
    metadata: dict[str, str]


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """Everything but the weights. `rows` is what config.json calls vocab_size."""

    path: Path
    info: FolderInfo
    objects: dict[str, dict[str, Any]]
    weights: tuple[Weights, ...]
    rows: int


def read_model_folder(path: Path) -> ModelFolder:
    """Check a folder and read all that describes its model.

    Raises:
        ModelFileInvalid: naming the file and the fault.
    """
    info = read_folder(path)
    objects = {
        name: read_object(path / name, limit=max(MAX_JSON_BYTES, MAX_TOKENIZER_BYTES))
        for name in info.files
        if name.endswith(".json")
    }
    if "tokenizer.json" not in objects:
        raise ModelFileInvalid(f"{path}: there is no tokenizer.json to trim.")
    weights = tuple(
        _read_weights(path / name) for name in info.files if name.endswith(".safetensors") and "/" not in name
    )
    config = objects["config.json"]
    inner = config.get("text_config")
    rows = config.get("vocab_size", inner.get("vocab_size") if isinstance(inner, dict) else None)
    if type(rows) is not int or rows < 1:
        raise ModelFileInvalid(f"{path / 'config.json'}: vocab_size is {rows!r}, not a number of tokens.")
    return ModelFolder(path, info, objects, weights, rows)


def _read_weights(path: Path) -> Weights:
    with open_file(path) as cursor:
        spans = tuple(read_spans(cursor))
        data_offset = cursor.position
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        metadata = json.loads(file.read(length)).get("__metadata__", {})
    return Weights(path, spans, data_offset, metadata)


def named_ids(folder: ModelFolder) -> frozenset[int]:
    """The ids that config.json and generation_config.json name."""
    found: set[int] = set()

    def note(token: int) -> int:
        found.add(token)
        return token

    for name in ("config.json", "generation_config.json"):
        map_ids(folder.objects.get(name, {}), note)
    return frozenset(found)


def map_ids(value: Any, change: Callable[[int], int | None], key: str = "") -> Any:
    """A copy of a JSON value with every token id changed; ids that become None are left out of lists."""
    if isinstance(value, dict):
        return {name: map_ids(inner, change, name) for name, inner in value.items()}
    is_id = key.endswith(ID_KEYS)
    if is_id and type(value) is int and value >= 0:
        return change(value)
    if isinstance(value, list):
        if is_id and all(type(item) is int for item in value):
            return [new for new in map(change, value) if new is not None]
        return [map_ids(item, change) for item in value]
    return value


def folder_vocabulary(folder: ModelFolder) -> Vocabulary:
    """The vocabulary of a folder's tokenizer.json.

    Raises:
        Unsupported: a kind of tokenizer that cannot be trimmed.
        ModelFileInvalid: its parts do not fit together.
    """
    tokenizer = folder.objects["tokenizer.json"]
    model: Any = tokenizer.get("model")
    kind = model.get("type") if isinstance(model, dict) else None
    where = folder.path / "tokenizer.json"
    if kind == "BPE":
        listed = [(text, number, 0.0) for text, number in model["vocab"].items()]
    elif kind == "Unigram":
        listed = [(text, number, score) for number, (text, score) in enumerate(model["vocab"])]
    else:
        raise Unsupported(
            f"{where} is of the kind {kind!r}, which cannot be trimmed.", fix="BPE and Unigram can."
        )
    added = folder.info.special_tokens
    by_id = {number: (text, score) for text, number, score in listed}
    by_id.update({token.id: (token.text, by_id.get(token.id, ("", 0.0))[1]) for token in added})
    size = max(by_id, default=-1) + 1
    if size > folder.rows:
        raise ModelFileInvalid(f"{where} has {size:,} tokens, but config.json says {folder.rows:,}.")
    texts = [by_id.get(number, (f"[PAD{number}]", 0.0))[0] for number in range(size)]
    holes = frozenset(range(size)) - by_id.keys()
    control = frozenset(token.id for token in added if token.kind == "control")
    # What a placeholder is called tells only among added tokens; a learned piece may look like anything.
    idle = {token.id for token in added if PLACEHOLDER.fullmatch(token.text)} - named_ids(folder)
    sets: dict[str, Any] = {
        "special": control | holes,
        "user": frozenset(token.id for token in added) - control,
        "placeholders": frozenset(idle) | holes,
    }
    split = _split(tokenizer)
    if kind == "Unigram":
        unknown = model.get("unk_id")
        if unknown is not None:
            sets["special"] |= {unknown}
        scores = [by_id.get(number, ("", 0.0))[1] for number in range(size)]
        return UnigramVocabulary(texts, scores, split, unknown=unknown, **sets)
    merges = [_pair(merge, where) for merge in model.get("merges", [])]
    unknown = model.get("unk_token")
    if unknown in model["vocab"]:
        sets["special"] |= {model["vocab"][unknown]}
    return MergedVocabulary(
        texts,
        merges,
        split,
        byte_level="ByteLevel" in _kinds(tokenizer.get("pre_tokenizer")),
        whole_words=bool(model.get("ignore_merges")),
        **sets,
    )


def _split(tokenizer: dict[str, Any]) -> Callable[[str], Iterable[str]]:
    """Normalization and pre-tokenization as the tokenizer does them."""
    from tokenizers import Tokenizer

    backend: Any = Tokenizer.from_str(json.dumps(tokenizer))

    def split(text: str) -> list[str]:
        written = backend.normalizer.normalize_str(text) if backend.normalizer is not None else text
        if backend.pre_tokenizer is None:
            return [written]
        return [word for word, _ in backend.pre_tokenizer.pre_tokenize_str(written)]

    return split


def _kinds(step: Any) -> set[str]:
    """The kinds of a normalizer or pre-tokenizer and of its parts."""
    if not isinstance(step, dict):
        return set()
    parts = step.get("pretokenizers") or step.get("normalizers") or []
    return {str(step.get("type"))}.union(*map(_kinds, parts))


def _pair(merge: Any, where: Path) -> tuple[str, str]:
    pair = merge.split(" ") if isinstance(merge, str) else merge
    if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(part, str) for part in pair):
        raise ModelFileInvalid(f"{where}: the merge {str(merge)[:80]!r} is not a pair.")
    return pair[0], pair[1]
