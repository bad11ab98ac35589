"""Writing a trimmed GGUF file: the kept rows as they are, everything else as it was.

The rows of a quantized matrix are independent: each is a whole number of blocks with scales of their own, one
after another. So rows are cut out as bytes, and nothing is quantized again.
"""

import os
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from malmoi.core.errors import ModelFileInvalid, Unsupported
from malmoi.core.stage import Task
from malmoi.engine.modelfile.gguf import Tensor
from malmoi.factory.tokenizer.trim.gguf_file import ARRAY, GgufFile, Value
from malmoi.factory.tokenizer.trim.merged import MergedVocabulary
from malmoi.factory.tokenizer.trim.vocabulary import Vocabulary

VOCABULARY_TENSORS = frozenset(
    {"token_embd.weight", "output.weight", "output.bias", "per_layer_token_embd.weight"}
)
"""Tensors with one row a token."""
_LEFT_OUT = frozenset({"tokenizer.huggingface.json", "tokenizer.rwkv.world"})
"""Second descriptions of the whole vocabulary, which would no longer be true."""
_STEP = 8 << 20


def write_trimmed(
    file: GgufFile, vocabulary: Vocabulary, kept: Sequence[int], out: Path, task: Task | None = None
) -> None:
    """Write `file` with the tokens `kept` alone, in their order, to the new file `out`.

    Weights are streamed; memory holds the metadata only.

    Raises:
        Unsupported: a tensor whose rows do not belong to tokens one by one, or a type `gguf` does not know.
        ModelFileInvalid: the file changed while it was read.
    """
    import numpy as np
    from gguf import GGMLQuantizationType, GGUFValueType, GGUFWriter

    check_tensors(file)
    writer: Any = GGUFWriter(out, file.info.architecture)
    if "general.alignment" in file.values:
        writer.add_custom_alignment(file.alignment)
    for key, value in trimmed_values(file, vocabulary, kept).items():
        if key in ("general.architecture", "general.alignment") or value.content == []:
            continue
        element = None if value.element is None else GGUFValueType(value.element)
        writer.add_key_value(key, value.content, GGUFValueType(value.kind), sub_type=element)
    for tensor in file.tensors:
        shape = _new_shape(tensor, len(kept))
        try:
            kind = GGMLQuantizationType[tensor.type.name]
        except KeyError:
            raise Unsupported(
                f"{file.path.name}: {tensor.name} is of the type {tensor.type.name}, which cannot be written."
            ) from None
        size = tensor.size_bytes // tensor.shape[-1] * shape[-1]
        writer.add_tensor_info(tensor.name, tuple(reversed(shape)), np.dtype(np.float32), size, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    try:
        target = writer.fout[0]
        with file.path.open("rb") as source:
            for tensor in file.tensors:
                writer.write_padding(target, target.tell())
                written = 0
                for begin, length in _ranges(file, tensor, kept):
                    for piece in _read(source.fileno(), begin, length, file.path.name):
                        target.write(piece)
                        written += len(piece)
                        if task is not None:
                            task.advance(len(piece) / 1e6)
                writer.write_padding(target, written)
    finally:
        writer.close()


def size_after(file: GgufFile, count: int) -> int:
    """Bytes of all tensors when `count` tokens are kept."""
    return sum(
        tensor.size_bytes // tensor.shape[-1] * _new_shape(tensor, count)[-1] for tensor in file.tensors
    )


def check_tensors(file: GgufFile) -> None:
    """Each tensor of the vocabulary has a row for each token, and no other has.

    Raises:
        Unsupported: naming the tensor.
    """
    names = {tensor.name for tensor in file.tensors}
    if "token_embd.weight" not in names:
        raise Unsupported(f"{file.path.name} has no tensor token_embd.weight to trim.")
    rows = file.info.vocab_size
    for tensor in file.tensors:
        if tensor.name in VOCABULARY_TENSORS:
            if tensor.shape[-1] != rows:
                raise Unsupported(
                    f"{file.path.name}: {tensor.name} has {tensor.shape[-1]:,} rows, "
                    f"but the vocabulary {rows:,} tokens."
                )
        elif rows in tensor.shape and "embd" in tensor.name:
            raise Unsupported(f"{file.path.name}: {tensor.name} belongs to tokens in an unknown way.")


def trimmed_values(file: GgufFile, vocabulary: Vocabulary, kept: Sequence[int]) -> dict[str, Value]:
    """The metadata with everything that speaks of token ids brought to the new ones."""
    new = {old: number for number, old in enumerate(kept)}
    total = file.info.vocab_size
    changed: dict[str, Value] = {}
    for key, value in file.values.items():
        content = value.content
        if key in _LEFT_OUT:
            continue
        if key == "tokenizer.ggml.merges" and isinstance(vocabulary, MergedVocabulary):
            content = [" ".join(pair) for pair in vocabulary.kept_merges(kept)]
        elif key.startswith("tokenizer.ggml.") and key.endswith("_token_id"):
            if content not in new:
                continue  # it named no token of the vocabulary
            content = new[content]
        elif key.startswith("tokenizer.ggml.") and key.endswith(("_token_ids", ".suppress_tokens")):
            content = [new[token] for token in content if token in new]
        elif key.startswith("tokenizer.ggml.") and value.kind == ARRAY and len(content) == total:
            content = [content[token] for token in kept]
        elif key == f"{file.info.architecture}.vocab_size":
            content = len(kept)
        changed[key] = Value(value.kind, value.element, content)
    return changed


def _new_shape(tensor: Tensor, count: int) -> tuple[int, ...]:
    return (*tensor.shape[:-1], count) if tensor.name in VOCABULARY_TENSORS else tensor.shape


def _ranges(file: GgufFile, tensor: Tensor, kept: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Where the bytes to copy lie in the file: (begin, length), neighbouring rows together."""
    start = file.data_offset + tensor.offset
    if tensor.name not in VOCABULARY_TENSORS:
        yield start, tensor.size_bytes
        return
    row = tensor.size_bytes // tensor.shape[-1]
    first = 0
    for place, (token, following) in enumerate(pairwise([*kept, -1])):
        if following != token + 1:
            yield start + kept[first] * row, (place + 1 - first) * row
            first = place + 1


def _read(descriptor: int, begin: int, length: int, name: str) -> Iterator[bytes]:
    end = begin + length
    while begin < end:
        piece = os.pread(descriptor, min(_STEP, end - begin), begin)
        if not piece:
            raise ModelFileInvalid(f"{name}: it became shorter while it was read.")
        yield piece
        begin += len(piece)
