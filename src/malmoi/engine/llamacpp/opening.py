"""Opening a GGUF file: check it, choose its settings, start it."""

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from malmoi.core.errors import InvalidInput, MissingExtra, ModelFileInvalid
from malmoi.engine.base import Capability, EngineInfo, Sampling
from malmoi.engine.catalog.card import ModelCard
from malmoi.engine.llamacpp.calibrate import choose_threads
from malmoi.engine.llamacpp.engine import LlamaCppEngine
from malmoi.engine.llamacpp.process import ServerSpec
from malmoi.engine.llamacpp.prompts import PromptWriter
from malmoi.engine.llamacpp.requests import with_defaults
from malmoi.engine.llamacpp.supervisor import Supervisor
from malmoi.engine.modelfile import GgufInfo, check_model_async
from malmoi.engine.options import EngineOptions

if TYPE_CHECKING:
    from malmoi.engine.templates import ChatTemplate

USUAL_CONTEXT = 8192


async def open_checked(
    path: Path, *, name: str, card: ModelCard | None, options: EngineOptions, home: Path | None
) -> LlamaCppEngine:
    """See `malmoi.engine.llamacpp.open_llamacpp`."""
    if find_spec("xllamacpp") is None:
        raise MissingExtra("Running a GGUF file", "serve")
    facts = await _check(path, kind="model")
    for adapter in options.adapters.values():
        await _check(adapter, kind="adapter")
    context_length = _context_length(facts, options)
    spec = ServerSpec(
        model=path,
        context_length=context_length,
        slots=options.slots,
        threads=options.threads or 1,
        prompt_cache_mb=options.prompt_cache_mb,
        adapters=tuple(options.adapters.values()),
        embeddings=options.embeddings,
        batch=context_length if options.embeddings else 128,
    )
    if options.threads is None:
        spec = replace(spec, threads=await choose_threads(spec, home=home))
    template = None if options.embeddings else _template(facts, card, name)
    supervisor = Supervisor(spec, name=name)
    await supervisor.start()
    try:
        return await _engine(
            supervisor, name=name, facts=facts, template=template, spec=spec, options=options
        )
    except BaseException:
        await supervisor.close()
        raise


async def _check(path: Path, *, kind: str) -> GgufInfo:
    """The header of a checked GGUF file of this kind."""
    facts = (await check_model_async(path)).gguf
    if facts is None:
        raise ModelFileInvalid(
            f"{path} is not a GGUF file.", fix="Open a folder of safetensors with torch=True."
        )
    if facts.kind != kind and "adapter" in (facts.kind, kind):
        raise ModelFileInvalid(
            f"{path} is of the kind {facts.kind!r}, not {kind!r}.",
            fix="A model is opened by itself; LoRA adapters are given beside it.",
        )
    return facts


def _context_length(facts: GgufInfo, options: EngineOptions) -> int:
    trained = facts.context_length or USUAL_CONTEXT
    if options.context_length is None:
        return min(trained, USUAL_CONTEXT)
    if options.context_length > trained:
        raise InvalidInput(
            f"a context of {options.context_length} tokens is more than this model's {trained}.",
            field="context_length",
            fix=f"Set context_length to {trained} or less.",
        )
    return options.context_length


def _template(facts: GgufInfo, card: ModelCard | None, name: str) -> "ChatTemplate | None":
    """The template that the card names, else the card's own, else the file's; None: no chat."""
    from malmoi.engine.templates import forging_tokens, load_template, template_named

    numbers = {"unknown": 2, "control": 3, "user_defined": 4}
    special = forging_tokens(
        [token.text for token in facts.special_tokens],
        [numbers[token.kind] for token in facts.special_tokens],
    )
    bos, eos = facts.bos_token or "", facts.eos_token or ""
    if card is not None and card.template_name:
        return template_named(card.template_name, special_tokens=special, bos_token=bos, eos_token=eos)
    source = (card.chat_template if card is not None else None) or facts.chat_template
    if not source:
        return None
    return load_template(source, special_tokens=special, bos_token=bos, eos_token=eos, name=name)


async def _engine(
    supervisor: Supervisor,
    *,
    name: str,
    facts: GgufInfo,
    template: "ChatTemplate | None",
    spec: ServerSpec,
    options: EngineOptions,
) -> LlamaCppEngine:
    connection = (await supervisor.child()).connection
    # The file need not say it: ask the tokeniser whether it puts a start token before nothing.
    answer = await connection.request("POST", "/tokenize", {"content": "", "add_special": True}, timeout=30)
    writer = PromptWriter(
        name,
        template,
        facts.bos_token or "",
        adds_bos=bool(answer.json()["tokens"]),
        context_length=spec.context_length,
    )
    # llama.cpp rounds the context up to a multiple of 256.
    slots = (await connection.request("GET", "/slots", timeout=30)).json()
    capabilities: set[Capability] = {"tokenize"}
    embedding_size = None
    if options.embeddings:
        capabilities.add("embed")
        found = (await connection.request("POST", "/embedding", {"content": "a"}, timeout=60)).json()
        embedding_size = len(found[0]["embedding"][0])
    else:
        capabilities |= {"generate", "logprobs", "grammar"}
        if template is not None:
            capabilities |= {"chat", "tools"}
        if options.adapters:
            capabilities.add("adapters")
    info = EngineInfo(
        name=name,
        kind="llamacpp",
        capabilities=frozenset(capabilities),
        context_length=min(int(slot["n_ctx"]) for slot in slots),
        num_slots=spec.slots,
        embedding_size=embedding_size,
        adapters=tuple(options.adapters),
        sampling_defaults=with_defaults(template.sampling if template is not None else Sampling()),
        description=f"{facts.architecture}, {facts.parameters / 1e9:.2g} B weights, {facts.quantization}, "
        f"{spec.threads} threads",
    )
    source = facts.chat_template or ""
    markers = [t.text for t in facts.special_tokens if t.kind == "control" and t.text and t.text in source]
    return LlamaCppEngine(supervisor, info, prompts=writer, keep_special=markers)
