"""llama.cpp in a process of its own: a crash in native code ends that process, never the server around it.

    engine --- Supervisor --- child process: xllamacpp's HTTP server on 127.0.0.1:<random>, random key
      |                            ^
      +---- Connection (HTTP) -----+

Nothing is imported here, because the child process (`python -m malmoi.engine.llamacpp.child`) passes through.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from malmoi.engine.catalog.card import ModelCard
    from malmoi.engine.llamacpp.engine import LlamaCppEngine
    from malmoi.engine.options import EngineOptions

__all__ = ["open_llamacpp"]


async def open_llamacpp(
    path: Path,
    *,
    name: str,
    card: "ModelCard | None" = None,
    options: "EngineOptions",
    home: Path | None = None,
) -> "LlamaCppEngine":
    """Check a GGUF file, load it in a child process, and give the engine once it answers.

    Args:
        path: the GGUF file.
        name: the model's name in messages and lists.
        card: what the catalog knows about it (template, parser); the file tells the rest.
        options: threads, slots, context, adapters.
        home: where the measured number of threads is kept; none: physical cores, unmeasured.

    Raises:
        ModelFileInvalid: the model or an adapter must not be loaded.
        MissingExtra: xllamacpp is not installed.
        EngineError: llama.cpp could not load it; the message quotes its log.
    """
    from malmoi.engine.llamacpp.opening import open_checked

    return await open_checked(path, name=name, card=card, options=options, home=home)
