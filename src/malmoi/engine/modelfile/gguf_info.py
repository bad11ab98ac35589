"""What a checked GGUF header means: model, tokenizer and template."""

import re
import struct
from pathlib import Path
from typing import Any, cast

from malmoi.engine.modelfile.cursor import Cursor, open_file
from malmoi.engine.modelfile.ggml import FILE_TYPES
from malmoi.engine.modelfile.gguf import FLOAT32, INT32, INTEGER_TYPES, ArrayAt, Header, read_header
from malmoi.engine.modelfile.info import GgufInfo, SpecialToken, TokenKind

MAX_VOCABULARY = 1 << 22
MAX_SPECIAL_TOKENS = 1 << 16
MAX_TOKEN_BYTES = 64 << 20
MAX_TEMPLATE_CHARACTERS = 1 << 20
MAX_TEXT_CHARACTERS = 1000
_ARCHITECTURE = re.compile(r"[a-z0-9][a-z0-9_.\-]{0,63}")
_KINDS: dict[int, TokenKind] = {2: "unknown", 3: "control", 4: "user_defined"}


def read_gguf(path: Path) -> GgufInfo:
    """Check a GGUF file's header and say what the model is.

    Raises:
        ModelFileInvalid: naming the file and the fault.
    """
    with open_file(path) as cursor:
        return describe(cursor, read_header(cursor))


def describe(cursor: Cursor, header: Header) -> GgufInfo:
    """The meaning of a header; `cursor` is its file, from which the special tokens are read."""
    values = _Values(cursor, header)
    architecture = values.text("general.architecture")
    if architecture is None or not _ARCHITECTURE.fullmatch(architecture):
        raise cursor.invalid(f"general.architecture is {(architecture or '')[:100]!r}, not a name")
    kind = values.text("general.type") or "model"
    if (values.integer("split.count") or 0) > 1:
        raise cursor.invalid(
            "it is one piece of a model that was split",
            fix="Join the pieces with `llama-gguf-split --merge`.",
        )
    if not header.tensors:
        raise cursor.invalid("it holds no tensors")
    context_length = values.integer(f"{architecture}.context_length")
    if context_length is None and kind == "model":
        raise cursor.invalid(f"{architecture}.context_length is missing")
    if context_length is not None and not 1 <= context_length < 1 << 31:
        raise cursor.invalid(f"{architecture}.context_length is {context_length}")
    vocab_size = _check_vocabulary(cursor, values)
    bos_id = values.token_id("tokenizer.ggml.bos_token_id", vocab_size)
    eos_id = values.token_id("tokenizer.ggml.eos_token_id", vocab_size)
    special, named = _tokens(cursor, values, {number for number in (bos_id, eos_id) if number is not None})
    return GgufInfo(
        version=header.version,
        architecture=architecture,
        kind=kind[:100],
        name=(values.text("general.name") or "")[:MAX_TEXT_CHARACTERS],
        context_length=context_length,
        parameters=sum(tensor.elements for tensor in header.tensors),
        quantization=_quantization(header, values),
        tensor_count=len(header.tensors),
        vocab_size=vocab_size,
        tokenizer_model=values.text("tokenizer.ggml.model"),
        chat_template=_template(cursor, values),
        bos_id=bos_id,
        bos_token=named.get(bos_id),
        eos_id=eos_id,
        eos_token=named.get(eos_id),
        add_bos=values.boolean("tokenizer.ggml.add_bos_token"),
        special_tokens=special,
        license=(values.text("general.license") or "")[:MAX_TEXT_CHARACTERS],
        size_bytes=cursor.size,
    )


class _Values:
    """The header's values by key and type; the wrong type is an error, a missing key is None."""

    def __init__(self, cursor: Cursor, header: Header) -> None:
        self._cursor = cursor
        self._values = header.values

    def text(self, key: str) -> str | None:
        return cast("str | None", self._typed(key, str, "text"))

    def boolean(self, key: str) -> bool | None:
        return cast("bool | None", self._typed(key, bool, "true or false"))

    def array(self, key: str) -> ArrayAt | None:
        return cast("ArrayAt | None", self._typed(key, ArrayAt, "an array"))

    def integer(self, key: str) -> int | None:
        kind, value = self._values.get(key, (4, None))
        if kind not in INTEGER_TYPES:
            raise self._cursor.invalid(f"{key} is not a whole number")
        return cast("int | None", value)

    def token_id(self, key: str, vocab_size: int) -> int | None:
        number = self.integer(key)
        if number is not None and vocab_size and not 0 <= number < vocab_size:
            raise self._cursor.invalid(f"{key} is {number}, outside the vocabulary of {vocab_size}")
        return number

    def _typed(self, key: str, kind: type, what: str) -> Any:
        value = self._values.get(key, (0, None))[1]
        if value is not None and not isinstance(value, kind):
            raise self._cursor.invalid(f"{key} is not {what}")
        return value


def _check_vocabulary(cursor: Cursor, values: _Values) -> int:
    """The number of tokens. Arrays beside them must be as long: llama.cpp reads that far without a check."""
    tokens = values.array("tokenizer.ggml.tokens")
    if tokens is None:
        return 0
    if tokens.element_type != 8:
        raise cursor.invalid("tokenizer.ggml.tokens is not an array of text")
    if not 1 <= tokens.count <= MAX_VOCABULARY:
        raise cursor.invalid(f"a vocabulary of {tokens.count} tokens, not 1 to {MAX_VOCABULARY}")
    for key, element in (("scores", FLOAT32), ("token_type", INT32)):
        beside = values.array(f"tokenizer.ggml.{key}")
        if beside is None:
            continue
        if beside.element_type != element:
            raise cursor.invalid(f"tokenizer.ggml.{key} has elements of the wrong type")
        if beside.count != tokens.count:
            raise cursor.invalid(
                f"tokenizer.ggml.{key} has {beside.count} elements, the vocabulary {tokens.count}"
            )
    merges = values.array("tokenizer.ggml.merges")
    if merges is not None and merges.element_type != 8:
        raise cursor.invalid("tokenizer.ggml.merges is not an array of text")
    return tokens.count


def _tokens(
    cursor: Cursor, values: _Values, wanted: set[int]
) -> tuple[tuple[SpecialToken, ...], dict[int | None, str]]:
    """The special tokens, and the texts of the tokens with the wanted numbers."""
    tokens = values.array("tokenizer.ggml.tokens")
    if tokens is None:
        return (), {}
    kinds: dict[int, TokenKind] = {}
    types = values.array("tokenizer.ggml.token_type")
    if types is not None:
        cursor.seek(types.offset)
        raw = cursor.take(4 * types.count, "tokenizer.ggml.token_type")
        for number, (kind,) in enumerate(struct.iter_unpack("<i", raw)):
            if kind in _KINDS:
                kinds[number] = _KINDS[kind]
            elif not 0 <= kind <= 6:
                raise cursor.invalid(f"token {number} has the unknown type {kind}")
    if len(kinds) > MAX_SPECIAL_TOKENS:
        raise cursor.invalid(f"{len(kinds)} special tokens, over {MAX_SPECIAL_TOKENS}")
    wanted = wanted | kinds.keys()
    special: list[SpecialToken] = []
    named: dict[int | None, str] = {}
    cursor.seek(tokens.offset)
    for number, raw in enumerate(cursor.strings(tokens.count, MAX_TOKEN_BYTES, "a token")):
        if number not in wanted:
            continue
        try:
            named[number] = raw.decode()
        except UnicodeDecodeError:
            raise cursor.invalid(f"the special token {number} is not UTF-8") from None
        if number in kinds:
            special.append(SpecialToken(number, named[number], kinds[number]))
    return tuple(special), named


def _template(cursor: Cursor, values: _Values) -> str | None:
    template = values.text("tokenizer.chat_template")
    if template is not None and len(template) > MAX_TEMPLATE_CHARACTERS:
        raise cursor.invalid(f"a chat template of {len(template)} characters, over {MAX_TEMPLATE_CHARACTERS}")
    return template or None


def _quantization(header: Header, values: _Values) -> str:
    """What the file says, else the type that most of the bytes have."""
    number = values.integer("general.file_type")
    if number in FILE_TYPES:
        return FILE_TYPES[number]
    by_type: dict[str, int] = {}
    for tensor in header.tensors:
        by_type[tensor.type.name] = by_type.get(tensor.type.name, 0) + tensor.size_bytes
    return max(by_type, key=lambda name: by_type[name])
