"""A GGUF file as trimming sees it: checked header, whole metadata, and its vocabulary.

The header is read by the checked reader of `malmoi.engine.modelfile`, which bounds every length; only then
are the arrays that it passes over (tokens, scores, types, merges) read here.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from malmoi.core.errors import ModelFileInvalid, Unsupported
from malmoi.engine.modelfile.cursor import Cursor, open_file
from malmoi.engine.modelfile.gguf import ArrayAt, Tensor, read_header
from malmoi.engine.modelfile.gguf_info import describe
from malmoi.engine.modelfile.info import GgufInfo
from malmoi.factory.tokenizer.splitting import GPT2, LLAMA3, QWEN2
from malmoi.factory.tokenizer.trim.merged import MergedVocabulary, Split
from malmoi.factory.tokenizer.trim.scored import ScoredVocabulary
from malmoi.factory.tokenizer.trim.vocabulary import PLACEHOLDER, Vocabulary

STRING, ARRAY = 8, 9
_UNKNOWN, _CONTROL, _USER, _UNUSED = 2, 3, 4, 5
_MAX_STRING = 64 << 20
_FORMS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}

# How llama.cpp's pre-tokenizers of these names cut text (`llama-vocab.cpp`). They decide only which tokens
# count as frequent: what a kept token needs to be reached does not depend on them.
_WORDS = {"qwen2": QWEN2, "llama-bpe": LLAMA3, "gpt-2": GPT2}
_WHOLE_WORDS = frozenset({"llama-bpe"})


@dataclass(frozen=True, slots=True)
class Value:
    """A metadata value: its type, the type of its elements where it is an array, and the content."""

    kind: int
    element: int | None
    content: Any


@dataclass(frozen=True, slots=True)
class GgufFile:
    """Everything but the weights."""

    path: Path
    info: GgufInfo
    values: dict[str, Value]
    tensors: tuple[Tensor, ...]
    alignment: int
    data_offset: int

    @property
    def splitting_known(self) -> bool:
        """Whether the file's way of cutting text into words is one that we know."""
        return self.text("tokenizer.ggml.model") != "gpt2" or self.text("tokenizer.ggml.pre") in _WORDS

    def text(self, key: str) -> str:
        """A text value, or the empty text."""
        value = self.values.get(key)
        return value.content if value is not None and isinstance(value.content, str) else ""

    def array(self, key: str) -> list[Any]:
        """An array, or an empty list."""
        value = self.values.get(key)
        return value.content if value is not None and value.kind == ARRAY else []


def read_file(path: Path) -> GgufFile:
    """Check a GGUF file and read its metadata.

    Raises:
        ModelFileInvalid: naming the file and the fault.
    """
    with open_file(path) as cursor:
        header = read_header(cursor)
        info = describe(cursor, header)
        values = {key: _value(cursor, kind, content) for key, (kind, content) in header.values.items()}
    return GgufFile(path, info, values, tuple(header.tensors), header.alignment, header.data_offset)


def vocabulary_of(file: GgufFile) -> Vocabulary:
    """The vocabulary of a GGUF file.

    Raises:
        Unsupported: a tokenizer that does not join pairs, such as WordPiece.
        ModelFileInvalid: a token that is not UTF-8, or a merge that is no pair.
    """
    model = file.text("tokenizer.ggml.model")
    texts = file.array("tokenizer.ggml.tokens")
    if not all(isinstance(text, str) for text in texts):
        raise ModelFileInvalid(f"{file.path.name}: a token is not UTF-8.")
    types = file.array("tokenizer.ggml.token_type") or [1] * len(texts)
    named = {value.content for key, value in file.values.items() if key.endswith("_token_id")}
    placeholders = frozenset(
        number
        for number, (text, kind) in enumerate(zip(texts, types, strict=True))
        if number not in named and (kind == _UNUSED or (kind != 1 and PLACEHOLDER.fullmatch(text)))
    )
    sets: dict[str, Any] = {
        "special": frozenset(n for n, kind in enumerate(types) if kind in (_UNKNOWN, _CONTROL, _UNUSED)),
        "user": frozenset(n for n, kind in enumerate(types) if kind == _USER),
        "placeholders": placeholders,
    }
    if model == "llama":
        prefix = file.values.get("tokenizer.ggml.add_space_prefix")
        scores = file.array("tokenizer.ggml.scores") or [0.0] * len(texts)
        return ScoredVocabulary(texts, scores, space_prefix=prefix is None or bool(prefix.content), **sets)
    if model == "gpt2":
        merges = [_pair(file, merge) for merge in file.array("tokenizer.ggml.merges")]
        pre = file.text("tokenizer.ggml.pre")
        split = byte_split(_WORDS.get(pre, _WORDS["gpt-2"]))
        return MergedVocabulary(texts, merges, split, whole_words=pre in _WHOLE_WORDS, **sets)
    raise Unsupported(
        f"{file.path.name} has a tokenizer of the kind {model or '(none)'!r}, which cannot be trimmed.",
        fix="Models with the tokenizers 'llama' (SPM) and 'gpt2' (byte-level BPE) can.",
    )


def byte_split(pattern: str) -> Split:
    """Cut text by a pattern, and write its bytes as byte-level BPE does."""
    from tokenizers import Regex, pre_tokenizers

    splitter = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )

    def split(text: str) -> Iterable[str]:
        return [word for word, _ in splitter.pre_tokenize_str(text)]

    return split


def _pair(file: GgufFile, merge: Any) -> tuple[str, str]:
    # A merge is written "left right"; a space in a part would be its first letter, never inside.
    at = merge.find(" ", 1) if isinstance(merge, str) else -1
    if at < 0:
        raise ModelFileInvalid(f"{file.path.name}: the merge {str(merge)[:80]!r} is not a pair.")
    return merge[:at], merge[at + 1 :]


def _value(cursor: Cursor, kind: int, content: Any) -> Value:
    if not isinstance(content, ArrayAt):
        return Value(kind, None, content)
    cursor.seek(content.offset)
    return Value(kind, content.element_type, list(_elements(cursor, content)))


def _elements(cursor: Cursor, array: ArrayAt) -> Iterator[Any]:
    if array.element_type == STRING:
        for raw in cursor.strings(array.count, _MAX_STRING, "an element"):
            try:
                yield raw.decode()
            except UnicodeDecodeError:
                yield raw
    elif array.element_type == ARRAY:
        raise cursor.invalid("an array of arrays in its metadata", fix="Convert the model again.")
    else:
        form = struct.Struct(f"<{array.count}{_FORMS[array.element_type]}")
        yield from form.unpack(cursor.take(form.size, "an array"))
