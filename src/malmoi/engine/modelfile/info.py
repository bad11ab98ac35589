"""What a checked model file says about itself. Plain data that crosses the sandbox as JSON."""

from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

TokenKind: TypeAlias = Literal["unknown", "control", "user_defined"]


@dataclass(frozen=True, slots=True)
class SpecialToken:
    """A token that is not ordinary text: its number in the vocabulary, its text and its kind."""

    id: int
    text: str
    kind: TokenKind


@dataclass(frozen=True, slots=True)
class GgufInfo:
    """The header of a GGUF file.

    Attributes:
        kind: "model", "adapter" (LoRA) or whatever `general.type` says.
        context_length: tokens the model was trained for; None for adapters.
        parameters: number of weights.
        quantization: such as "Q4_K_M".
        tokenizer_model: "gpt2" (byte-level BPE), "llama" (SentencePiece) ...
        special_tokens: all tokens of the kinds of `SpecialToken`, by number.
    """

    version: int
    architecture: str
    kind: str
    name: str
    context_length: int | None
    parameters: int
    quantization: str
    tensor_count: int
    vocab_size: int
    tokenizer_model: str | None
    chat_template: str | None
    bos_id: int | None
    bos_token: str | None
    eos_id: int | None
    eos_token: str | None
    add_bos: bool | None
    special_tokens: tuple[SpecialToken, ...]
    license: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class SafetensorsInfo:
    """The header of one safetensors file; `dtypes` are those of its tensors, sorted."""

    tensors: tuple[str, ...]
    dtypes: tuple[str, ...]
    parameters: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class FolderInfo:
    """A folder as the hub lays it out: config.json, tokenizer files and safetensors.

    `chat_template`, `bos_token` and `eos_token` are None where the folder does not say.
    """

    architecture: str
    context_length: int | None
    parameters: int
    dtypes: tuple[str, ...]
    vocab_size: int
    chat_template: str | None
    bos_token: str | None
    bos_id: int | None
    eos_token: str | None
    eos_id: int | None
    add_bos: bool | None
    special_tokens: tuple[SpecialToken, ...]
    files: tuple[str, ...]
    size_bytes: int


@dataclass(frozen=True, slots=True)
class ModelFileInfo:
    """What `check_model` found: exactly one of the three is set. `size_bytes` is that of all files."""

    path: str
    size_bytes: int
    gguf: GgufInfo | None = None
    safetensors: SafetensorsInfo | None = None
    folder: FolderInfo | None = None

    def to_json(self) -> dict[str, Any]:
        """As JSON-able data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "ModelFileInfo":
        """Back from `to_json`."""
        gguf, safetensors, folder = data["gguf"], data["safetensors"], data["folder"]
        return cls(
            path=data["path"],
            size_bytes=data["size_bytes"],
            gguf=GgufInfo(**_frozen(gguf)) if gguf else None,
            safetensors=SafetensorsInfo(**_frozen(safetensors)) if safetensors else None,
            folder=FolderInfo(**_frozen(folder)) if folder else None,
        )


def _frozen(data: dict[str, Any]) -> dict[str, Any]:
    """Lists become tuples again, and special tokens their own class."""
    frozen = {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}
    if "special_tokens" in frozen:
        frozen["special_tokens"] = tuple(SpecialToken(**token) for token in frozen["special_tokens"])
    return frozen
