"""One way to open any engine: by the name of a model or by a reference.

    small, standard, NAME     an installed model of the catalog
    path:x.gguf, path:DIR     a file or folder that is checked first
    hf:ORG/NAME               a model of the hub, once `malmoi models add` has fetched it
    run:ID                    the newest checkpoint that a run exported
    torch:REFERENCE           one of the above, run by torch: slower, but it tells how likely any text is
    http://HOST/v1#MODEL      any OpenAI-compatible server
    scripted:FILE             a deterministic engine for tests and demonstrations
    embed:use                 multilingual sentence embeddings: how alike texts are
    embed:e5                  multilingual embeddings: what answers a question
    embed:search              both as one, for documents

Other packages add schemes by the entry point group `malmoi.engines`: `async def open(rest, *, home,
options)`.
"""

from collections.abc import Awaitable, Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from malmoi.core.errors import MissingExtra, ModelFileInvalid, UnknownName
from malmoi.core.registry import Registry
from malmoi.engine.base import Engine
from malmoi.engine.options import EngineOptions

if TYPE_CHECKING:
    from malmoi.engine.catalog import ModelCard

REMOTE_SLOTS = 64

Opener: TypeAlias = Callable[..., Awaitable[Engine]]


def engine_schemes() -> Registry[Opener]:
    """The schemes of references, each with the coroutine function that opens what follows the colon."""
    registry: Registry[Opener] = Registry("engine")
    for scheme in ("path", "hf", "run", "torch", "http", "https", "scripted", "embed"):
        registry.add(scheme, f"malmoi.engine.open:open_{'http' if scheme == 'https' else scheme}")
    return registry


async def open_engine(ref: str, *, home: Path, options: EngineOptions | None = None) -> Engine:
    """Open the engine that `ref` names.

    Args:
        ref: see the module's table.
        home: Malmoi's home directory, for the catalog and the store.
        options: threads, slots, context and so on.

    Raises:
        UnknownName: no such scheme or model; the message names the nearest.
        ModelFileInvalid: the files must not be loaded.
        MissingExtra: an optional dependency is needed.
        EngineError: it did not start.
    """
    options = options or EngineOptions()
    scheme, colon, rest = ref.partition(":")
    if not colon:
        return await _open_installed(ref, home=home, options=options)
    schemes = engine_schemes()
    if scheme not in schemes:
        raise UnknownName("engine", scheme, schemes.names(), fix="A reference is NAME or SCHEME:REST.")
    return await schemes.get(scheme)(
        rest if scheme not in ("http", "https") else ref, home=home, options=options
    )


async def _open_installed(name: str, *, home: Path, options: EngineOptions) -> Engine:
    from malmoi.engine.catalog import Catalog

    catalog = Catalog(home)
    card = catalog.info(name)
    if not catalog.installed(name):
        raise UnknownName(
            "installed model",
            name,
            (known.name for known in catalog.entries() if catalog.installed(known.name)),
            fix=f"Run: malmoi models add {name}",
        )
    if card.source.startswith("run:"):
        return await open_run(card.source.removeprefix("run:"), home=home, options=options)
    return await _open_files(catalog.path(name), name=name, card=card, home=home, options=options)


async def _open_files(
    path: Path, *, name: str, home: Path, options: EngineOptions, card: "ModelCard | None" = None
) -> Engine:
    if path.is_dir() or options.torch:
        # By name, so that nothing here depends on torch.
        try:
            opener = import_module("malmoi.engine.torch").open_torch
        except ModuleNotFoundError as error:
            raise MissingExtra("Running a folder of safetensors", "train") from error
        engine: Engine = await opener(path, name=name, options=options)
        return engine
    from malmoi.engine.llamacpp import open_llamacpp

    return await open_llamacpp(path, name=name, card=card, options=options, home=home)


async def open_path(rest: str, *, home: Path, options: EngineOptions) -> Engine:
    """Check and open a GGUF file or a folder of safetensors."""
    path = Path(rest).expanduser().resolve()
    if not path.exists():
        raise ModelFileInvalid(f"there is no file or folder {path}.")
    return await _open_files(
        path, name=path.stem if path.is_file() else path.name, home=home, options=options
    )


async def open_hf(rest: str, *, home: Path, options: EngineOptions) -> Engine:
    """Open a model of the hub that has been fetched before."""
    from malmoi.engine.catalog import Catalog

    catalog = Catalog(home)
    for card in catalog.entries():
        if card.source == f"hf:{rest}" and catalog.installed(card.name):
            return await _open_installed(card.name, home=home, options=options)
    raise UnknownName("installed model", f"hf:{rest}", (), fix=f"Run: malmoi models add hf:{rest}")


async def open_run(rest: str, *, home: Path, options: EngineOptions) -> Engine:
    """Open the newest model that a run made."""
    from malmoi.core.store import Store

    store = Store(home / "store")
    run = store.run(rest)
    made = [artifact for artifact in store.artifacts() if artifact.manifest.run == run.id]
    if options.torch:
        # transformers cannot read every GGUF file that was made from one of its folders.
        made.sort(key=lambda artifact: (artifact.path / "config.json").is_file())
    for artifact in reversed(made):
        files = sorted(artifact.path.glob("*.gguf"))
        if files:
            return await _open_files(files[0], name=rest, home=home, options=options)
        if (artifact.path / "config.json").is_file():
            return await _open_files(artifact.path, name=rest, home=home, options=options)
    raise ModelFileInvalid(
        f"the run {rest} has made no model yet.", fix="Wait for it to finish, or look at its log."
    )


async def open_torch(rest: str, *, home: Path, options: EngineOptions) -> Engine:
    """Open a model of this machine with torch, whatever runs the others."""
    return await open_engine(rest, home=home, options=options.model_copy(update={"torch": True}))


async def open_http(ref: str, *, home: Path, options: EngineOptions) -> Engine:
    """Open a model of an OpenAI-compatible server; the part after # is the model's name there."""
    from malmoi.engine.http import open_http as open_remote

    url, _, model = ref.partition("#")
    key = options.api_key.get_secret_value() if options.api_key else None
    return await open_remote(
        url,
        model,
        api_key=key,
        timeout=options.timeout,
        # The usual number is for this machine; a server elsewhere has its own queue and takes more.
        num_slots=options.slots if "slots" in options.model_fields_set else REMOTE_SLOTS,
        context_length=options.context_length,
    )


async def open_scripted(rest: str, *, home: Path, options: EngineOptions) -> Engine:
    """Open a deterministic engine from its script."""
    from malmoi.engine.scripted import open_scripted as open_script

    return await open_script(Path(rest).expanduser())


async def open_embed(rest: str, *, home: Path, options: EngineOptions) -> Engine:
    """Open a sentence encoder: `use`, `e5` or `search`, see `malmoi.engine.embed`."""
    from malmoi.engine.embed import E5Embedder, SearchEmbedder, UseEmbedder

    encoders: dict[str, Callable[[], Engine]] = {
        "use": UseEmbedder,
        "e5": E5Embedder,
        "search": SearchEmbedder,
    }
    if rest not in encoders:
        raise UnknownName("sentence encoder", rest, list(encoders))
    return encoders[rest]()
