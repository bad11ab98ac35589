"""Tiny model files made by hand, right or wrong in any place that a test chooses."""

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

U8, U32, I32, F32, BOOL, STRING, ARRAY, U64 = 0, 4, 5, 6, 7, 8, 9, 10
_FORMS = {U8: "<B", U32: "<I", I32: "<i", F32: "<f", BOOL: "<B", U64: "<Q"}
TOKENS = ["<unk>", "<s>", "</s>", "a", "나", "<|im_start|>", "<|im_end|>", "<tool_call>"]
TOKEN_TYPES = [2, 3, 3, 1, 1, 3, 3, 4]


@dataclass(frozen=True)
class Array:
    """A GGUF array of `kind`; elements of an array of arrays are `Array` too."""

    kind: int
    items: Sequence[Any]


@dataclass(frozen=True)
class TinyTensor:
    name: str = "token_embd.weight"
    shape: tuple[int, ...] = (32, 8)
    type: int = 0
    offset: int = 0


def string(text: str | bytes) -> bytes:
    raw = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(raw)) + raw


def value(kind: int, content: Any) -> bytes:
    if kind == STRING:
        return string(content)
    if kind == ARRAY:
        packed = b"".join(value(content.kind, item) for item in content.items)
        return struct.pack("<IQ", content.kind, len(content.items)) + packed
    return struct.pack(_FORMS[kind], content)


def gguf_keys() -> dict[str, tuple[int, Any]]:
    return {
        "general.architecture": (STRING, "llama"),
        "general.name": (STRING, "Tiny 모델"),
        "general.file_type": (U32, 0),
        "llama.context_length": (U32, 128),
        "tokenizer.ggml.model": (STRING, "llama"),
        "tokenizer.ggml.tokens": (ARRAY, Array(STRING, TOKENS)),
        "tokenizer.ggml.scores": (ARRAY, Array(F32, [0.0] * len(TOKENS))),
        "tokenizer.ggml.token_type": (ARRAY, Array(I32, TOKEN_TYPES)),
        "tokenizer.ggml.bos_token_id": (U32, 1),
        "tokenizer.ggml.eos_token_id": (U32, 2),
        "tokenizer.ggml.add_bos_token": (BOOL, 1),
        "tokenizer.chat_template": (STRING, "{{ messages[0]['content'] }}"),
    }


TENSORS = (TinyTensor(), TinyTensor("output.weight", (32, 8), 0, 1024))


def gguf_bytes(
    keys: Mapping[str, tuple[int, Any]] | Sequence[tuple[str, tuple[int, Any]]] | None = None,
    tensors: Sequence[TinyTensor] = TENSORS,
    *,
    magic: bytes = b"GGUF",
    version: int = 3,
    tensor_count: int | None = None,
    key_count: int | None = None,
    data_bytes: int = 2048,
    alignment: int = 32,
    salt: int = 0,
) -> bytes:
    """A whole file; `salt` changes the weights, so that checksums differ."""
    pairs = gguf_keys() if keys is None else keys
    listed = list(pairs.items()) if isinstance(pairs, Mapping) else list(pairs)
    out = bytearray(magic + struct.pack("<I", version))
    out += struct.pack("<Q", len(tensors) if tensor_count is None else tensor_count)
    out += struct.pack("<Q", len(listed) if key_count is None else key_count)
    for key, (kind, content) in listed:
        out += string(key) + struct.pack("<I", kind) + value(kind, content)
    for tensor in tensors:
        out += string(tensor.name) + struct.pack("<I", len(tensor.shape))
        out += struct.pack(f"<{len(tensor.shape)}Q", *tensor.shape) + struct.pack(
            "<IQ", tensor.type, tensor.offset
        )
    out += b"\0" * (-len(out) % alignment)
    return bytes(out) + bytes((i + salt) & 0x3F for i in range(data_bytes))


def safetensors_bytes(header: Any = None, data: bytes | None = None, *, length: int | None = None) -> bytes:
    """A whole file; `header` is a table or raw JSON bytes."""
    if header is None:
        header = {
            "__metadata__": {"format": "pt"},
            "model.embed.weight": {"dtype": "F32", "shape": [4, 8], "data_offsets": [0, 128]},
            "model.norm.weight": {"dtype": "BF16", "shape": [8], "data_offsets": [128, 144]},
        }
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    body = b"\x01" * 144 if data is None else data
    return struct.pack("<Q", len(raw) if length is None else length) + raw + body


def write_folder(path: Path, *, shards: int = 1) -> Path:
    """A folder as the hub lays it out, with `shards` files of weights."""
    path.mkdir(parents=True, exist_ok=True)
    config = {
        "architectures": ["LlamaForCausalLM"],
        "max_position_embeddings": 256,
        "vocab_size": 6,
        "torch_dtype": "float32",
    }
    (path / "config.json").write_text(json.dumps(config))
    (path / "generation_config.json").write_text(json.dumps({"eos_token_id": 2}))
    tokenizer = {
        "added_tokens": [
            {"id": 1, "content": "<s>", "special": True},
            {"id": 2, "content": "</s>", "special": True},
            {"id": 5, "content": "<think>", "special": False},
        ],
        "model": {"type": "BPE", "vocab": {"a": 0, "<s>": 1, "</s>": 2, "b": 3, "auto_map": 4, "<think>": 5}},
    }
    (path / "tokenizer.json").write_text(json.dumps(tokenizer))
    options = {
        "bos_token": {"content": "<s>"},
        "eos_token": "</s>",
        "add_bos_token": True,
        "chat_template": "{{ messages }}",
    }
    (path / "tokenizer_config.json").write_text(json.dumps(options))
    if shards == 1:
        (path / "model.safetensors").write_bytes(safetensors_bytes())
        return path
    weight_map = {}
    for shard in range(1, shards + 1):
        file = f"model-{shard:05}-of-{shards:05}.safetensors"
        name = f"layer.{shard}.weight"
        entry = {name: {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}}
        (path / file).write_bytes(safetensors_bytes(entry, b"\x01" * 16))
        weight_map[name] = file
    (path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    return path
