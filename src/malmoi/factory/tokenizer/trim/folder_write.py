"""Writing a trimmed model folder: rows of the embedding and the output head, and every id brought along."""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

from malmoi.core.errors import ModelFileInvalid, Unsupported
from malmoi.core.files import write_json, write_text
from malmoi.core.stage import Task
from malmoi.engine.modelfile.folder import INDEX
from malmoi.engine.modelfile.safetensors import Span
from malmoi.factory.tokenizer.trim.folder_file import ModelFolder, Weights, map_ids
from malmoi.factory.tokenizer.trim.merged import MergedVocabulary
from malmoi.factory.tokenizer.trim.vocabulary import Vocabulary

VOCABULARY_TENSORS = (
    "embed_tokens.weight", "lm_head.weight", "lm_head.bias", "wte.weight", "embed_in.weight",
    "embed_out.weight", "word_embeddings.weight",
)  # fmt: skip
"""Endings of the names of tensors with one row a token."""
_STALE = frozenset(
    {"vocab.json", "merges.txt", "vocab.txt", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model"}
)
"""Second descriptions of the vocabulary; tokenizer.json alone says it now."""
_STEP = 8 << 20


def write_trimmed_folder(
    folder: ModelFolder, vocabulary: Vocabulary, kept: Sequence[int], out: Path, task: Task | None = None
) -> None:
    """Write the folder with the tokens `kept` alone, in their order, into the existing folder `out`.

    Raises:
        Unsupported: a tensor whose rows belong to tokens in a way that is not known.
        ModelFileInvalid: a file changed while it was read.
    """
    check_spans(folder)
    new = {old: number for number, old in enumerate(kept)}
    total = 0
    for weights in folder.weights:
        total += _write_weights(weights, folder.rows, kept, out / weights.path.name, task)
    for name in folder.info.files:
        target = out / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (name.endswith(".safetensors") and "/" not in name) or name in _STALE:
            continue
        if name == "tokenizer.json":
            tokenizer = trimmed_tokenizer(folder, vocabulary, kept)
            write_text(target, json.dumps(tokenizer, ensure_ascii=False, indent=2) + "\n")
        elif name in folder.objects:
            write_json(target, _trimmed_object(folder, name, new, len(kept), total))
        else:
            shutil.copyfile(folder.path / name, target)


def folder_size_after(folder: ModelFolder, count: int) -> int:
    """Bytes of all tensors when `count` tokens are kept."""
    return sum(
        (span.end - span.begin) // span.shape[0] * count
        if _has_rows(span, folder.rows)
        else span.end - span.begin
        for weights in folder.weights
        for span in weights.spans
    )


def check_spans(folder: ModelFolder) -> None:
    """There is an embedding, and no tensor's rows belong to tokens in an unknown way.

    Raises:
        Unsupported: naming the tensor.
    """
    spans = [span for weights in folder.weights for span in weights.spans]
    if not any(_has_rows(span, folder.rows) for span in spans):
        raise Unsupported(f"{folder.path} has no embedding with a row for each of {folder.rows:,} tokens.")
    for span in spans:
        if folder.rows in span.shape and "embed" in span.name and not _has_rows(span, folder.rows):
            raise Unsupported(f"{folder.path}: {span.name} belongs to tokens in an unknown way.")


def trimmed_tokenizer(folder: ModelFolder, vocabulary: Vocabulary, kept: Sequence[int]) -> dict[str, Any]:
    """The tokenizer.json of the kept tokens."""
    new = {old: number for number, old in enumerate(kept)}
    whole = folder.objects["tokenizer.json"]
    model = dict(whole["model"])
    if isinstance(vocabulary, MergedVocabulary):
        model["vocab"] = {text: new[old] for text, old in model["vocab"].items() if old in new}
        model["vocab"] = dict(sorted(model["vocab"].items(), key=lambda entry: entry[1]))
        model["merges"] = [list(pair) for pair in vocabulary.kept_merges(kept)]
    else:
        model["vocab"] = [model["vocab"][old] for old in kept if old < len(model["vocab"])]
        if model.get("unk_id") is not None:
            model["unk_id"] = new[model["unk_id"]]
    added = [
        {**entry, "id": new[entry["id"]]} for entry in whole.get("added_tokens", []) if entry["id"] in new
    ]
    return {
        **whole,
        "added_tokens": added,
        "post_processor": _post_processor(whole.get("post_processor"), new),
        "model": model,
    }


def _post_processor(step: Any, new: dict[int, int]) -> Any:
    """The tokens that a post-processor puts around texts, under their new ids."""
    if not isinstance(step, dict):
        return step
    changed = dict(step)
    if isinstance(step.get("processors"), list):
        changed["processors"] = [_post_processor(part, new) for part in step["processors"]]
    if isinstance(step.get("special_tokens"), dict):
        changed["special_tokens"] = {
            name: {**entry, "ids": [new[old] for old in entry["ids"]]}
            for name, entry in step["special_tokens"].items()
        }
    for name in ("sep", "cls"):
        if isinstance(step.get(name), list):
            changed[name] = [step[name][0], new[step[name][1]]]
    return changed


def _trimmed_object(
    folder: ModelFolder, name: str, new: dict[int, int], count: int, total: int
) -> dict[str, Any]:
    value = map_ids(folder.objects[name], new.get)
    if name == "config.json":
        for table in (value, value.get("text_config")):
            if isinstance(table, dict) and table.get("vocab_size") == folder.rows:
                table["vocab_size"] = count
    elif name == "tokenizer_config.json" and isinstance(value.get("added_tokens_decoder"), dict):
        value["added_tokens_decoder"] = {
            str(new[int(old)]): entry
            for old, entry in value["added_tokens_decoder"].items()
            if old.isdigit() and int(old) in new
        }
    elif name in ("added_tokens.json", "special_tokens.json"):
        value = _renumbered(value, new)
    elif name == INDEX:
        value["metadata"] = {**value.get("metadata", {}), "total_size": total}
    return dict(value)


def _renumbered(value: Any, new: dict[int, int]) -> Any:
    """Tables of token -> id, at any depth."""
    if isinstance(value, dict):
        return {
            name: new[item] if type(item) is int else _renumbered(item, new)
            for name, item in value.items()
            if type(item) is not int or item in new
        }
    return value


def _has_rows(span: Span, rows: int) -> bool:
    return bool(span.shape) and span.shape[0] == rows and span.name.endswith(VOCABULARY_TENSORS)


def _write_weights(weights: Weights, rows: int, kept: Sequence[int], out: Path, task: Task | None) -> int:
    """Write one safetensors file, streaming; returns the bytes of its tensors."""
    header: dict[str, Any] = {"__metadata__": weights.metadata} if weights.metadata else {}
    at = 0
    for span in weights.spans:
        size, shape = span.end - span.begin, list(span.shape)
        if _has_rows(span, rows):
            size, shape = size // rows * len(kept), [len(kept), *span.shape[1:]]
        header[span.name] = {"dtype": span.dtype, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    raw = json.dumps(header, separators=(",", ":")).encode()
    raw += b" " * (-len(raw) % 8)
    with weights.path.open("rb") as source, out.open("xb") as target:
        target.write(len(raw).to_bytes(8, "little") + raw)
        for span in weights.spans:
            for begin, end in _ranges(span, rows, kept):
                _copy(source, weights.data_offset + begin, end - begin, target, task)
    return at


def _ranges(span: Span, rows: int, kept: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The bytes of a tensor to copy, neighbouring rows together."""
    if not _has_rows(span, rows):
        yield span.begin, span.end
        return
    row = (span.end - span.begin) // rows
    first = 0
    for place, (token, following) in enumerate(pairwise([*kept, -1])):
        if following != token + 1:
            yield span.begin + kept[first] * row, span.begin + (token + 1) * row
            first = place + 1


def _copy(source: BinaryIO, begin: int, length: int, target: BinaryIO, task: Task | None) -> None:
    end = begin + length
    while begin < end:
        piece = os.pread(source.fileno(), min(_STEP, end - begin), begin)
        if not piece:
            raise ModelFileInvalid(f"{source.name}: it became shorter while it was read.")
        target.write(piece)
        begin += len(piece)
        if task is not None:
            task.advance(len(piece) / 1e6)
