"""Model folders for others: transformers' HyperCLOVA X, or a plain Llama with the multipliers folded in."""

import copy
import json
import shutil
from pathlib import Path
from typing import Any

from malmoi.core.errors import Unsupported
from malmoi.core.files import write_json
from malmoi.factory.models.folding import factor, weight_names

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "special_tokens.json",
    "chat_template.jinja",
)
_ENDS = ("<|endofturn|>", "<|stop|>")  # generation also ends at these, where the tokenizer has them
_PAD = "<|pad|>"
_LLAMA_FIELDS = (
    "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
    "num_key_value_heads", "head_dim", "hidden_act", "max_position_embeddings", "rms_norm_eps",
    "tie_word_embeddings", "rope_parameters", "bos_token_id", "eos_token_id", "pad_token_id",
)  # fmt: skip


def export_folder(model: Any, tokenizer_files: Path | None, out: Path) -> None:
    """Write config.json, model.safetensors, generation_config.json and the tokenizer's files.

    generation_config.json is complete: it names every token that ends an answer, and the padding; servers
    read it, and one that lacks the end of a turn goes on talking.

    Args:
        model: a causal language model of transformers.
        tokenizer_files: the folder of its tokenizer; None: the model goes without.
        out: a folder; files of the same names are replaced.
    """
    out.mkdir(parents=True, exist_ok=True)
    own = model.generation_config
    model.generation_config = _generation_config(model, tokenizer_files)
    try:
        _quiet_save(model, out)
    finally:
        model.generation_config = own
    if tokenizer_files is not None:
        copy_tokenizer_files(tokenizer_files, out)


def _generation_config(model: Any, tokenizer_files: Path | None) -> Any:
    """The model's own, with every token that ends an answer and with the padding."""
    found = copy.deepcopy(model.generation_config)
    if found.eos_token_id is None:
        found.eos_token_id = model.config.eos_token_id
    added = _added_tokens(tokenizer_files) if tokenizer_files is not None else {}
    if isinstance(found.eos_token_id, int):  # a list is complete already
        others = [added[name] for name in _ENDS if name in added and added[name] != found.eos_token_id]
        found.eos_token_id = [found.eos_token_id, *others] if others else found.eos_token_id
    if found.pad_token_id is None:
        found.pad_token_id = added.get(_PAD)
    return found


def copy_tokenizer_files(source: Path, out: Path) -> None:
    """Copy those of the tokenizer's files that are there."""
    for name in TOKENIZER_FILES:
        if (source / name).is_file():
            shutil.copyfile(source / name, out / name)


def export_llama(model: Any, tokenizer_files: Path | None, out: Path) -> None:
    """Write a plain Llama with the same logits: every multiplier is folded into a weight (`folding.py`).

    Args:
        model: a HyperCLOVA X model without post-norms, or a Llama.
        tokenizer_files: as for `export_folder`.
        out: the folder.

    Raises:
        Unsupported: the model has post-norms, biases or scaled rotary frequencies.
    """
    llama = as_llama(model)
    export_folder(llama, tokenizer_files, out)


def as_llama(model: Any) -> Any:
    """A `LlamaForCausalLM` that computes the same as `model`; it shares no weights with it.

    Raises:
        Unsupported: see `export_llama`.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM
    from transformers.initialization import no_init_weights

    config = model.config
    names = list(weight_names(config))
    if getattr(config, "use_post_norm", False):
        raise Unsupported(
            "a model with post-norms (Peri-LN) is no plain Llama.",
            fix="Train with use_post_norm = false, or export to GGUF, which has a structure for it.",
        )
    plain = LlamaConfig(**{name: getattr(config, name) for name in _LLAMA_FIELDS})
    with no_init_weights():
        llama = LlamaForCausalLM._from_config(plain, dtype=torch.float32, attn_implementation="sdpa")
    llama.tie_weights()
    source = model.state_dict()
    target = llama.state_dict()
    with torch.no_grad():
        for name in names:
            target[name].copy_(source[name].float() * factor(config, name))
    return llama.eval()


def _added_tokens(folder: Path) -> dict[str, int]:
    file = folder / "tokenizer.json"
    if not file.is_file():
        return {}
    tokens = json.loads(file.read_text(encoding="utf-8")).get("added_tokens") or []
    return {token["content"]: token["id"] for token in tokens}


def _quiet_save(model: Any, out: Path) -> None:
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    model.save_pretrained(out)
    # The version of transformers that happened to write the file is no part of the model: without it the same
    # model gives the same bytes. And what generation_config.json says is not to be derived again.
    for name in ("config.json", "generation_config.json"):
        file = out / name
        values = json.loads(file.read_text(encoding="utf-8"))
        for key in ("transformers_version", "_from_model_config"):
            values.pop(key, None)
        write_json(file, values)
