"""Loading: a checked folder or file becomes a `TorchEngine`."""

import asyncio
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from malmoi.core.errors import MissingExtra, ModelFileInvalid
from malmoi.engine.base import Capability, EngineInfo, Sampling
from malmoi.engine.modelfile import ModelFileInfo, SpecialToken, check_model_async
from malmoi.engine.options import EngineOptions
from malmoi.engine.sampling import with_defaults
from malmoi.engine.templates import ChatTemplate, forging_tokens, load_template
from malmoi.engine.torch.engine import TorchEngine
from malmoi.engine.torch.gguf_reading import fast_reader

_MAX_CONTEXT = 8192  # unless the options say more: keys and values cost memory
_KINDS = {"unknown": 2, "control": 3, "user_defined": 4}


async def open_torch(path: Path, *, name: str, options: EngineOptions | None = None) -> TorchEngine:
    """Load a folder of safetensors or a GGUF file, after it was checked.

    Args:
        path: the folder or file.
        name: what it is called.
        options: `threads`, `slots` and `context_length` are used.

    Raises:
        ModelFileInvalid: the files must not be loaded, or transformers cannot load them.
        MissingExtra: torch or transformers is not installed.
    """
    options = options or EngineOptions()
    found = await check_model_async(path)
    if found.folder is None and found.gguf is None:
        raise ModelFileInvalid(f"{path} is not a model.", fix="Give the folder that the file lies in.")
    model, tokenizer = await asyncio.to_thread(load_pretrained, path, options.threads)
    template = _template(tokenizer, found, name)
    capabilities: set[Capability] = {"generate", "logprobs", "score", "embed", "tokenize"}
    if template is not None:
        capabilities.add("chat")
        if "tools" in str(tokenizer.chat_template):
            capabilities.add("tools")
    trained = int(getattr(model.config.get_text_config(), "max_position_embeddings", None) or _MAX_CONTEXT)
    info = EngineInfo(
        name=name,
        kind="torch",
        capabilities=frozenset(capabilities),
        context_length=min(trained, options.context_length or _MAX_CONTEXT),
        num_slots=options.slots,
        embedding_size=int(model.get_input_embeddings().weight.shape[1]),
        sampling_defaults=_defaults(model, template),
        description="transformers, float32.",
    )
    return TorchEngine(model, tokenizer, template, info)


def load_pretrained(path: Path, threads: int | None = None) -> tuple[Any, Any]:
    """Model (float32) and tokenizer of a checked folder or GGUF file; it takes seconds.

    Raises:
        ModelFileInvalid: transformers cannot load the files, or weights are missing.
        MissingExtra: torch, transformers or accelerate is not installed.
    """
    try:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils.logging import disable_progress_bar
    except ImportError as error:
        raise MissingExtra("Running models with torch", "train") from error
    disable_progress_bar()  # a server's log is no place for it
    if threads is not None:
        torch.set_num_threads(threads)
    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    folder = path
    if path.is_file():
        folder = path.parent
        options["gguf_file"] = path.name
        if find_spec("accelerate") is None:
            raise MissingExtra("Reading GGUF files with torch", "train")
    try:
        with fast_reader() if path.is_file() else nullcontext():
            tokenizer = AutoTokenizer.from_pretrained(folder, **options)
            model, report = AutoModelForCausalLM.from_pretrained(
                folder, dtype=torch.float32, use_safetensors=True, output_loading_info=True, **options
            )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        # transformers raises any of these for files that it does not understand.
        reason = (str(error).splitlines() or [type(error).__name__])[0][:300]
        raise ModelFileInvalid(f"{path.name}: transformers cannot load it: {reason}") from error
    # transformers fills what is missing with random numbers and only writes a line to the log.
    absent = sorted(report["missing_keys"]) + sorted(map(str, report["mismatched_keys"]))
    if absent:
        raise ModelFileInvalid(
            f"{path.name}: {len(absent)} weights are missing or have a wrong shape, such as {absent[0]}.",
            fix="Fetch the model again.",
        )
    return model.eval(), tokenizer


def _template(tokenizer: Any, found: ModelFileInfo, name: str) -> ChatTemplate | None:
    source = tokenizer.chat_template
    if not isinstance(source, str) or not source:
        return None
    special: tuple[SpecialToken, ...] = ()
    if found.folder is not None:
        special = found.folder.special_tokens
    elif found.gguf is not None:
        special = found.gguf.special_tokens
    texts = [token.text for token in special]
    # transformers may add tokens of its own to those that the file names.
    texts += [str(token) for token in tokenizer.all_special_tokens]
    kinds = [_KINDS[token.kind] for token in special] + [_KINDS["control"]] * (len(texts) - len(special))
    return load_template(
        source,
        special_tokens=forging_tokens(texts, kinds),
        bos_token=tokenizer.bos_token or "",
        eos_token=tokenizer.eos_token or "",
        name=name,
    )


def _defaults(model: Any, template: ChatTemplate | None) -> Sampling:
    """The sampling that the model's files recommend, else its family's authors."""
    config = model.generation_config
    told = Sampling(
        temperature=_number(config.temperature),
        top_p=_number(config.top_p),
        top_k=None if config.top_k is None else int(config.top_k),
        min_p=_number(config.min_p),
        repetition_penalty=_number(config.repetition_penalty),
    )
    return with_defaults(told, template.sampling) if template is not None else told


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
