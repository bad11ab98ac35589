"""GGUF files, which llama.cpp runs.

llama.cpp has no architecture named HyperCLOVA X, but two that compute the same once the multipliers are
folded into the weights (`folding.py`):

- "llama" without post-norms;
- "glm4" with them (Peri-LN): GLM-4-0414 has the same four norms a layer, at the same places, and one matrix
  for gate and up. Its rotary embedding covers as much of a head as `rope.dimension_count` says: here all.

Both turn neighbouring pairs of a head's entries, transformers turns entry i with entry i + K/2; so the rows
of Wq and Wk are put in another order, which changes no score.
"""

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from malmoi.core.errors import ModelFileInvalid
from malmoi.core.files import full, sync_directory, write_json
from malmoi.core.stage import Input, Stage, StageConfig, StageContext
from malmoi.core.store import Artifact, ArtifactKind
from malmoi.factory.models.folding import check_foldable, folded_weight, weight_names
from malmoi.factory.models.gguf_tokens import GgufVocabulary, read_vocabulary
from malmoi.factory.models.weights import ReadTensor, open_weights

GgufType = Literal["F16", "BF16", "Q8_0", "Q4_0"]

_FILE_TYPES = {"F16": 1, "Q4_0": 2, "Q8_0": 7, "BF16": 32}  # llama.h, llama_ftype
_BLOCK = 32
_BLOCK_BYTES = {"F32": (1, 4), "F16": (1, 2), "BF16": (1, 2), "Q8_0": (_BLOCK, 34), "Q4_0": (_BLOCK, 18)}

_LAYER_NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "post_norm1": "post_attention_norm",
    "post_norm2": "post_ffw_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
_OUTER_NAMES = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}


@dataclass(frozen=True, slots=True)
class _Planned:
    """A tensor of the file: shape (rows, columns) or (entries,), type, and how to get it in float32."""

    name: str
    shape: tuple[int, ...]
    type: str
    make: Callable[[], Any]

    @property
    def size_bytes(self) -> int:
        """What it takes in the file."""
        block, size = _BLOCK_BYTES[self.type]
        return math.prod(self.shape) // block * size


class GgufConfig(StageConfig):
    """How the weights are stored."""

    type: GgufType = "Q8_0"
    """F16 and BF16: 16 bits a weight. Q8_0: 8.5 bits. Q4_0: 4.5 bits, with the embedding in Q8_0."""
    name: str = ""
    """The model's name inside the file."""


class GgufStage(Stage[GgufConfig]):
    """Model folder in, model.gguf out."""

    config: ClassVar[type[StageConfig]] = GgufConfig
    kind: ClassVar[ArtifactKind] = "quantized"
    inputs: ClassVar[Mapping[str, Input]] = {"model": Input(("model",))}

    def run(
        self, config: GgufConfig, inputs: Mapping[str, Artifact], out: Path, context: StageContext
    ) -> Mapping[str, Any]:
        """Write model.gguf, and about/gguf.json with the types of its tensors."""
        with context.progress.task("Write GGUF", unit="tensors") as task:
            report = write_gguf(
                inputs["model"].path,
                out / "model.gguf",
                type=config.type,
                name=config.name,
                on_tensor=lambda: task.advance(1),
            )
        for note in report["notes"]:
            context.progress.note(note)
        (out / "about").mkdir(exist_ok=True)
        write_json(out / "about" / "gguf.json", report)
        return {key: report[key] for key in ("architecture", "type", "parameters", "size_bytes")}


def write_gguf(
    folder: Path,
    path: Path,
    *,
    type: GgufType = "Q8_0",
    name: str = "",
    on_tensor: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Convert a model folder to a GGUF file; one tensor is in memory at a time.

    Args:
        folder: a HyperCLOVA X or Llama model in transformers' format, with its tokenizer.
        path: the file to write; it appears only when it is whole.
        type: how matrices are stored; norms stay in float32. Rows that are no multiple of 32 stay in F16.
        name: the model's name inside the file.
        on_tensor: called after each tensor.

    Returns:
        What was written: architecture, type, parameters, size_bytes, tensors by type, notes.

    Raises:
        ModelFileInvalid: the folder lacks the configuration, weights or tokenizer, or they do not fit.
        Unsupported: the architecture or the tokenizer has no form that llama.cpp knows.
        DiskFull: no room; nothing is left behind.
    """
    import numpy as np
    from gguf import GGMLQuantizationType, GGUFWriter
    from gguf.quants import quantize

    config = _read_config(folder)
    check_foldable(config)
    vocabulary = read_vocabulary(folder, rows=config.vocab_size)
    architecture = "glm4" if getattr(config, "use_post_norm", False) else "llama"
    notes: list[str] = []
    temporary = path.with_name(f".{path.name}.tmp")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open_weights(folder) as (_, read):
            planned = _plan(config, read, type, architecture, notes)
            writer = GGUFWriter(temporary, architecture)
            try:
                _add_model(writer, config, type, name)
                _add_vocabulary(writer, vocabulary, config.eos_token_id)
                for tensor in planned:
                    # float32 only says that `shape` counts entries, not bytes.
                    kind, size = GGMLQuantizationType[tensor.type], tensor.size_bytes
                    writer.add_tensor_info(tensor.name, tensor.shape, np.dtype("f4"), size, raw_dtype=kind)
                writer.write_header_to_file()
                writer.write_kv_data_to_file()
                writer.write_ti_data_to_file()
                for tensor in planned:
                    writer.write_tensor_data(quantize(tensor.make(), GGMLQuantizationType[tensor.type]))
                    on_tensor()
            finally:
                writer.close()
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        raise full(error, path) from error
    finally:
        temporary.unlink(missing_ok=True)
    types: dict[str, int] = {}
    for tensor in planned:
        types[tensor.type] = types.get(tensor.type, 0) + 1
    return {
        "architecture": architecture,
        "type": type,
        "parameters": sum(math.prod(tensor.shape) for tensor in planned),
        "size_bytes": path.stat().st_size,
        "tensors": types,
        "notes": notes,
    }


def _read_config(folder: Path) -> Any:
    from transformers import AutoConfig

    if not (folder / "config.json").is_file():
        raise ModelFileInvalid(f"{folder} is not a model: it has no config.json.")
    try:
        return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise ModelFileInvalid(f"{folder / 'config.json'} cannot be read: {error}.") from error


def _plan(
    config: Any, read: ReadTensor, type: GgufType, architecture: str, notes: list[str]
) -> list[_Planned]:
    """Every tensor of the file, in its order."""
    width, head_dim = config.hidden_size, config.head_dim
    rows = {
        "q_proj": config.num_attention_heads * head_dim,
        "k_proj": config.num_key_value_heads * head_dim,
        "v_proj": config.num_key_value_heads * head_dim,
        "o_proj": width,
        "gate_proj": config.intermediate_size,
        "up_proj": config.intermediate_size,
        "down_proj": width,
        "embed_tokens": config.vocab_size,
        "lm_head": config.vocab_size,
    }
    columns = {"o_proj": rows["q_proj"], "down_proj": config.intermediate_size}
    planned = []
    for name in weight_names(config):
        short = name.removesuffix(".weight").rpartition(".")[2]
        shape: tuple[int, ...] = (width,)
        if short in rows:
            shape = (rows[short], columns.get(short, width))
        make = _maker(config, read, name, shape)
        if architecture == "glm4" and short == "gate_proj":
            continue  # it goes into ffn_up, before the up projection
        if architecture == "glm4" and short == "up_proj":
            gate = _maker(config, read, name.replace("up_proj", "gate_proj"), shape)
            make, shape = _stacked(gate, make), (2 * shape[0], *shape[1:])
        kind = _storage(type, short, shape)
        if kind != type and kind == "F16":
            notes.append(f"{name}: rows of {shape[-1]} are no multiple of {_BLOCK}; stored in F16.")
        planned.append(_Planned(_gguf_name(name), shape, kind, make))
    return planned


def _storage(type: GgufType, short: str, shape: tuple[int, ...]) -> str:
    if len(shape) == 1:
        return "F32"
    if type in ("F16", "BF16"):
        return type
    if shape[-1] % _BLOCK:
        return "F16"
    # A small model's embedding is a large part of what it knows, and when tied also its output head.
    return "Q8_0" if short in ("embed_tokens", "lm_head") else type


def _maker(config: Any, read: ReadTensor, name: str, shape: tuple[int, ...]) -> Callable[[], Any]:
    def make() -> Any:
        weight = folded_weight(config, read, name)
        if tuple(weight.shape) != shape:
            raise ModelFileInvalid(
                f"the weight {name} has the shape {tuple(weight.shape)}, the configuration says {shape}."
            )
        if name.endswith(("q_proj.weight", "k_proj.weight")):
            half = config.head_dim // 2
            weight = weight.view(-1, 2, half, weight.shape[1]).transpose(1, 2).reshape(shape)
        return weight.contiguous().numpy()

    return make


def _stacked(first: Callable[[], Any], second: Callable[[], Any]) -> Callable[[], Any]:
    def make() -> Any:
        import numpy as np

        return np.concatenate([first(), second()])

    return make


def _gguf_name(name: str) -> str:
    if name in _OUTER_NAMES:
        return _OUTER_NAMES[name]
    layer, _, rest = name.removeprefix("model.layers.").partition(".")
    return f"blk.{layer}.{_LAYER_NAMES[rest.removesuffix('.weight')]}.weight"


def _add_model(writer: Any, config: Any, type: GgufType, name: str) -> None:
    writer.add_type("model")
    if name:
        writer.add_name(name)
    writer.add_file_type(_FILE_TYPES[type])
    writer.add_quantization_version(2)
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(float(config.rope_parameters["rope_theta"]))


def _add_vocabulary(writer: Any, vocabulary: GgufVocabulary, eos: int | list[int] | None) -> None:
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(vocabulary.pre)
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_types(vocabulary.types)
    writer.add_token_merges(vocabulary.merges)
    if eos is not None:
        writer.add_eos_token_id(eos if isinstance(eos, int) else eos[0])
    special = vocabulary.special
    if "<|endofturn|>" in special:
        writer.add_eot_token_id(special["<|endofturn|>"])
    if "<|pad|>" in special:
        writer.add_pad_token_id(special["<|pad|>"])
    for key, token in (
        ("fim_pre", "<|fim_prefix|>"),
        ("fim_suf", "<|fim_suffix|>"),
        ("fim_mid", "<|fim_middle|>"),
    ):
        if token in special:
            writer.add_uint32(f"tokenizer.ggml.{key}_token_id", special[token])
    writer.add_add_bos_token(False)
    writer.add_add_eos_token(False)
    if vocabulary.chat_template is not None:
        writer.add_chat_template(vocabulary.chat_template)
