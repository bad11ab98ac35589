import struct
from pathlib import Path
from typing import Any

import pytest

from malmoi.core.errors import ModelFileInvalid
from malmoi.engine.modelfile.ggml import TENSOR_TYPES
from malmoi.engine.modelfile.gguf_info import read_gguf
from malmoi.engine.modelfile.info import GgufInfo
from model_files import (
    ARRAY,
    BOOL,
    F32,
    I32,
    STRING,
    TENSORS,
    TOKEN_TYPES,
    TOKENS,
    U8,
    U32,
    U64,
    Array,
    TinyTensor,
    gguf_bytes,
    gguf_keys,
)


def read(path: Path, data: bytes) -> GgufInfo:
    file = path / "tiny.gguf"
    file.write_bytes(data)
    return read_gguf(file)


def test_a_right_file_says_what_it_is(tmp_path: Path) -> None:
    data = gguf_bytes()
    info = read(tmp_path, data)
    assert (info.architecture, info.name, info.kind, info.version) == ("llama", "Tiny 모델", "model", 3)
    assert (info.context_length, info.parameters, info.quantization) == (128, 512, "F32")
    assert (info.vocab_size, info.tokenizer_model, info.tensor_count) == (len(TOKENS), "llama", 2)
    assert (info.bos_id, info.bos_token, info.eos_id, info.eos_token) == (1, "<s>", 2, "</s>")
    assert info.add_bos is True
    assert info.chat_template == "{{ messages[0]['content'] }}"
    assert [(token.id, token.text, token.kind) for token in info.special_tokens] == [
        (0, "<unk>", "unknown"),
        (1, "<s>", "control"),
        (2, "</s>", "control"),
        (5, "<|im_start|>", "control"),
        (6, "<|im_end|>", "control"),
        (7, "<tool_call>", "user_defined"),
    ]
    assert info.size_bytes == len(data)


def test_version_two_and_other_alignments_are_read(tmp_path: Path) -> None:
    assert read(tmp_path, gguf_bytes(version=2)).version == 2
    keys = gguf_keys() | {"general.alignment": (U32, 64)}
    assert read(tmp_path, gguf_bytes(keys, alignment=64)).parameters == 512


def test_an_adapter_needs_no_context_length(tmp_path: Path) -> None:
    keys = {"general.architecture": (STRING, "llama"), "general.type": (STRING, "adapter")}
    info = read(tmp_path, gguf_bytes(keys))
    assert (info.kind, info.context_length, info.vocab_size, info.special_tokens) == ("adapter", None, 0, ())


def test_strings_that_cross_the_reading_window_are_whole(tmp_path: Path) -> None:
    tokens = [f"token{number}-" + "x" * 97 for number in range(30_000)] + ["<end>"]
    keys = gguf_keys() | {
        "tokenizer.ggml.tokens": (ARRAY, Array(STRING, [*tokens, "y" * (3 << 20), "<last>"])),
        "tokenizer.ggml.scores": (ARRAY, Array(F32, [0.0] * 30_003)),
        "tokenizer.ggml.token_type": (ARRAY, Array(I32, [1] * 30_000 + [3, 1, 3])),
    }
    info = read(tmp_path, gguf_bytes(keys))
    assert [token.text for token in info.special_tokens] == ["<end>", "<last>"]


def test_the_table_of_types_is_that_of_the_reference() -> None:
    constants = pytest.importorskip("gguf.constants")
    theirs = {
        int(kind): (kind.name, block, size) for kind, (block, size) in constants.GGML_QUANT_SIZES.items()
    }
    assert {number: tuple(row) for number, row in TENSOR_TYPES.items()} == theirs


def changed(**keys: tuple[int, Any]) -> bytes:
    return gguf_bytes(gguf_keys() | {name.replace("__", "."): content for name, content in keys.items()})


def tensors(*changes: TinyTensor, data_bytes: int = 2048) -> bytes:
    return gguf_bytes(tensors=changes, data_bytes=data_bytes)


def nested(depth: int) -> Array:
    inner = Array(U8, [1])
    for _ in range(depth):
        inner = Array(ARRAY, [inner])
    return inner


CORRUPT = {
    "empty": (b"", "truncated"),
    "magic": (gguf_bytes(magic=b"GGML"), "not a GGUF file"),
    "zip": (b"PK\x03\x04" + bytes(100), "not a GGUF file"),
    "version 1": (gguf_bytes(version=1), "version 1"),
    "big-endian": (b"GGUF" + struct.pack(">I", 3) + bytes(16), "big-endian"),
    "key count": (gguf_bytes(key_count=65_537), "65537 keys"),
    "key count 2^63": (gguf_bytes(key_count=1 << 63), "keys"),
    "tensor count": (gguf_bytes(tensor_count=100_001), "100001 tensors"),
    "more tensors than there are": (gguf_bytes(tensor_count=3), "truncated|not allowed|claims"),
    "no tensors": (gguf_bytes(tensors=()), "no tensors"),
    "truncated data": (gguf_bytes()[:-1], "truncated"),
    "truncated header": (gguf_bytes()[:100], "truncated"),
    "duplicate key": (
        gguf_bytes([*gguf_keys().items(), ("general.name", (STRING, "x"))]),
        "'general.name' comes twice",
    ),
    "empty key": (gguf_bytes([*gguf_keys().items(), ("", (U8, 1))]), "empty key"),
    "key not UTF-8": (gguf_bytes().replace(b"general.name", b"general.\xff\xfe\xfd\xfc"), "UTF-8"),
    "string 2^62": (gguf_bytes().replace(b"\x0b" + bytes(7) + b"Tiny", bytes(7) + b"\x40Tiny"), "claims"),
    "unknown type": (changed(odd=(U8, 1)).replace(b"odd\0\0\0\0", b"odd\x0d\0\0\0"), "unknown type 13"),
    "array 2^40": (
        changed(odd=(ARRAY, Array(U8, []))).replace(
            b"odd\x09\0\0\0\0\0\0\0" + bytes(8), b"odd\x09\0\0\0\0\0\0\0" + struct.pack("<Q", 1 << 40)
        ),
        "elements",
    ),
    "array too deep": (changed(odd=(ARRAY, nested(5))), "nested"),
    "boolean 2": (changed(tokenizer__ggml__add_bos_token=(BOOL, 2)), "boolean"),
    "alignment 0": (changed(general__alignment=(U32, 0)), "alignment"),
    "alignment 48": (changed(general__alignment=(U32, 48)), "alignment"),
    "alignment of another type": (changed(general__alignment=(U64, 32)), "alignment"),
    "architecture missing": (gguf_bytes({"a": (U8, 1)}), "general.architecture"),
    "architecture a path": (changed(general__architecture=(STRING, "../x")), "general.architecture"),
    "architecture a number": (changed(general__architecture=(U8, 1)), "not text"),
    "context missing": (changed(general__architecture=(STRING, "qwen2")), "context_length is missing"),
    "context 0": (changed(llama__context_length=(U32, 0)), "context_length is 0"),
    "context 2^40": (changed(llama__context_length=(U64, 1 << 40)), "context_length"),
    "context a fraction": (changed(llama__context_length=(F32, 1.5)), "whole number"),
    "split": (changed(split__count=(U32, 3)), "split"),
    "bos outside": (changed(tokenizer__ggml__bos_token_id=(U32, 8)), "outside the vocabulary"),
    "eos negative": (changed(tokenizer__ggml__eos_token_id=(I32, -1)), "outside the vocabulary"),
    "scores short": (changed(tokenizer__ggml__scores=(ARRAY, Array(F32, [0.0]))), "scores has 1 elements"),
    "scores of bytes": (changed(tokenizer__ggml__scores=(ARRAY, Array(U8, [0] * 8))), "wrong type"),
    "types short": (changed(tokenizer__ggml__token_type=(ARRAY, Array(I32, [1]))), "token_type has 1"),
    "types unknown": (
        changed(tokenizer__ggml__token_type=(ARRAY, Array(I32, [*TOKEN_TYPES[:-1], 99]))),
        "unknown type 99",
    ),
    "tokens of bytes": (changed(tokenizer__ggml__tokens=(ARRAY, Array(U8, [1] * 8))), "array of text"),
    "no tokens": (changed(tokenizer__ggml__tokens=(ARRAY, Array(STRING, []))), "vocabulary of 0"),
    "merges of bytes": (changed(tokenizer__ggml__merges=(ARRAY, Array(U8, [1]))), "merges"),
    "special token not UTF-8": (gguf_bytes().replace(b"<|im_end|>", b"<|im_\xff\xfe|>>"), "UTF-8"),
    "template a number": (changed(tokenizer__chat_template=(U8, 1)), "not text"),
    "template huge": (changed(tokenizer__chat_template=(STRING, "x" * (1 << 20) + "x")), "chat template"),
    "tensor name up": (tensors(TinyTensor("../../etc/passwd")), "name"),
    "tensor name odd": (tensors(TinyTensor("a b")), "name"),
    "tensor name long": (tensors(TinyTensor("a" * 257)), "claims 257 bytes"),
    "tensor name empty": (tensors(TinyTensor("")), "name"),
    "tensor twice": (tensors(TinyTensor(), TinyTensor(offset=1024)), "comes twice"),
    "tensor type": (tensors(TinyTensor(type=4)), "unknown type 4"),
    "tensor type huge": (tensors(TinyTensor(type=1 << 31)), "unknown type"),
    "five dimensions": (tensors(TinyTensor(shape=(2, 2, 2, 2, 2))), "5 dimensions"),
    "no dimensions": (tensors(TinyTensor(shape=())), "0 dimensions"),
    "empty dimension": (tensors(TinyTensor(shape=(32, 0))), "empty dimension"),
    "shape overflows 64 bits": (tensors(TinyTensor(shape=(1 << 32, 1 << 32))), "claims"),
    "shape wraps to small": (tensors(TinyTensor(shape=(1 << 62, 4))), "claims"),
    "rows not of whole blocks": (tensors(TinyTensor(shape=(33, 8), type=2)), "multiple"),
    "offset unaligned": (tensors(TinyTensor(offset=1)), "aligned"),
    "offset beyond": (tensors(TinyTensor(offset=1 << 40)), "truncated"),
    "offset wraps": (tensors(TinyTensor(offset=(1 << 64) - 32)), "truncated"),
    "overlap": (tensors(TENSORS[0], TinyTensor("b", offset=512)), "overlap"),
    "same place": (tensors(TENSORS[0], TinyTensor("b", offset=0)), "overlap"),
}  # fmt: skip


@pytest.mark.parametrize("case", CORRUPT)
def test_every_corruption_is_refused_by_name(case: str, tmp_path: Path) -> None:
    data, words = CORRUPT[case]
    with pytest.raises(ModelFileInvalid, match=words) as caught:
        read(tmp_path, data)
    assert "tiny.gguf" in caught.value.message
    assert caught.value.fix
