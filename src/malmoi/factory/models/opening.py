"""Any model to go on training: a folder, a GGUF file, an installed model of the catalog, or a run's model."""

import hashlib
import shutil
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from malmoi.core.errors import ModelFileInvalid, UnknownName, Unsupported
from malmoi.factory.tokenizer.opening import read_gguf_tokenizer, write_opened


def open_any(ref: str, home: Path) -> tuple[Any, Path]:
    """Load a causal language model in float32 and say where its tokenizer lies.

    GGUF files are dequantized: training goes on from the numbers that the quantized file stands for. Their
    tokenizer is written in transformers' format under `home/tokenizers`, named by its content.

    Args:
        ref: a folder of safetensors or a GGUF file (`path:` may stand before it), or the name of an installed
            model of the catalog.
        home: Malmoi's home directory.

    Returns:
        The model in evaluation mode, and a folder with tokenizer.json.

    Raises:
        ModelFileInvalid: there is no such file, it must not be loaded, or transformers does not know it.
        UnknownName: neither a path nor an installed model.
        MissingExtra: a package that reading needs is not installed.
    """
    from malmoi.engine.modelfile import check_model
    from malmoi.engine.torch.loading import load_pretrained

    path = find_model(ref, home)
    check_model(path)
    model, tokenizer = load_pretrained(path)
    model.eval()
    if path.is_dir() and (path / "tokenizer.json").is_file():
        return model, path
    return model, _keep_tokenizer(path, tokenizer, home)


def find_model(ref: str, home: Path) -> Path:
    """The file or folder that `open_any` loads.

    Raises:
        ModelFileInvalid: there is no such file.
        UnknownName: neither a path nor an installed model.
    """
    from malmoi.engine.catalog import Catalog

    explicit = ref.startswith("path:")
    path = Path(ref.removeprefix("path:")).expanduser()
    if explicit or path.exists():
        if not path.exists():
            raise ModelFileInvalid(f"there is no file or folder {path}.")
        return path.resolve()
    catalog = Catalog(home)
    names = [entry.name for entry in catalog.entries() if catalog.installed(entry.name)]
    if ref not in names:
        raise UnknownName(
            "installed model or path", ref, names, fix=f"Give a path, or run: malmoi models add {ref}"
        )
    return catalog.path(ref)


def _keep_tokenizer(path: Path, tokenizer: Any, home: Path) -> Path:
    """The tokenizer in a folder of its own, written once for the same content.

    That of a GGUF file is rebuilt as the stage `model-tokenizer` does it, for tokens made by that stage must
    be known again; transformers spells some tokens otherwise.
    """
    root = home / "tokenizers"
    root.mkdir(parents=True, exist_ok=True)
    temporary = Path(mkdtemp(prefix=".new-", dir=root))
    try:
        if path.is_file():
            try:
                write_opened(path, read_gguf_tokenizer(path), temporary)
            except Unsupported:
                tokenizer.save_pretrained(temporary)
        else:
            tokenizer.save_pretrained(temporary)
        digest = hashlib.sha256()
        for file in sorted(temporary.iterdir()):
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
        folder = root / digest.hexdigest()[:16]
        if not folder.exists():
            temporary.rename(folder)
        return folder
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
