"""Tokenizers of other models: a folder, a tokenizer.json, a GGUF file, or an installed model by name.

The vocabulary inside a GGUF file is rebuilt for `tokenizers`, which cuts text like llama.cpp and is fast
enough for whole corpora:

- "gpt2" (byte-level BPE): tokens, merges and the cutting expression that the file names;
- "llama" (SentencePiece): llama.cpp joins the neighbours whose joined text has the best score, which is BPE
  with a merge for every way to make each token of two others, ranked by the token's score.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from malmoi.core.errors import ModelFileInvalid, NotFound, Unsupported
from malmoi.core.files import write_json, write_text
from malmoi.factory.tokenizer.splitting import GPT2, LLAMA3, QWEN2, Merge, byte_level
from malmoi.factory.tokenizer.tokenizer import Tokenizer, copy_tokenizer

_PATTERNS: Mapping[str, str] = {
    "qwen2": QWEN2,
    "deepseek-r1-qwen": QWEN2,
    "llama-bpe": LLAMA3,
    "llama3": LLAMA3,
    "gpt-2": GPT2,
}
_WHOLE_WORDS = frozenset({"llama-bpe", "llama3"})
_UNKNOWN, _CONTROL, _USER_DEFINED, _UNUSED, _BYTE = 2, 3, 4, 5, 6
_SPACE = "\u2581"


def open_tokenizer(ref: str, *, home: Path) -> Tokenizer:
    """The tokenizer of a model.

    Args:
        ref: a folder, a tokenizer.json, a .gguf file, or the name of an installed model.
        home: Malmoi's home directory, for the catalog.

    Raises:
        NotFound: there is no such file, and no installed model of this name.
        ModelFileInvalid: it cannot be read.
        Unsupported: a kind of tokenizer that cannot be rebuilt.
    """
    path = find_tokenizer(ref, home=home)
    if path.is_file() and path.suffix != ".json":
        return read_gguf_tokenizer(path, name=ref if path.name not in ref else path.stem)
    return Tokenizer.load(path)


def find_tokenizer(ref: str, *, home: Path) -> Path:
    """The file or folder that `open_tokenizer` reads.

    Raises:
        NotFound: there is no such file, and no installed model of this name.
    """
    path = Path(ref.removeprefix("path:")).expanduser()
    return path if path.exists() else _installed(ref, home)


def read_gguf_tokenizer(path: Path, *, name: str | None = None) -> Tokenizer:
    """The tokenizer inside a GGUF file.

    Raises:
        ModelFileInvalid: the file is broken.
        Unsupported: its tokenizer is of another kind, or cuts text in a way that is not known here.
    """
    from malmoi.factory.tokenizer.trim.gguf_file import read_file

    file = read_file(path)
    model = file.text("tokenizer.ggml.model")
    tokens = file.array("tokenizer.ggml.tokens")
    types = file.array("tokenizer.ggml.token_type") or [1] * len(tokens)
    if not all(isinstance(token, str) for token in tokens):
        raise ModelFileInvalid(f"{path.name}: a token is not UTF-8.")
    if model == "gpt2":
        backend = _merged(path, tokens, file.array("tokenizer.ggml.merges"), file.text("tokenizer.ggml.pre"))
    elif model == "llama":
        prefix = file.values.get("tokenizer.ggml.add_space_prefix")
        scores = file.array("tokenizer.ggml.scores") or [0.0] * len(tokens)
        backend = _scored(tokens, scores, types, space_prefix=prefix is None or bool(prefix.content))
    else:
        raise Unsupported(
            f"{path.name} has a tokenizer of the kind {model or '(none)'!r}, which cannot be rebuilt.",
            fix="Compare with the model's tokenizer.json instead.",
        )
    _add_tokens(backend, tokens, types)
    return Tokenizer(backend, eot_id=file.info.eos_id, name=name or path.stem)


def write_opened(path: Path, tokenizer: Tokenizer, out: Path) -> None:
    """Copy the tokenizer files of a folder, or write those that were rebuilt from a GGUF file.

    Args:
        path: what was opened.
        tokenizer: what came of it.
        out: where tokenizer.json and its company go.

    Raises:
        InvalidInput: it has no token that ends a document.
    """
    if path.is_dir():
        copy_tokenizer(path, out)
        return
    end = tokenizer.backend.id_to_token(tokenizer.eot_id)
    write_text(out / "tokenizer.json", tokenizer.backend.to_str(pretty=True) + "\n")
    write_json(
        out / "tokenizer_config.json", {"eos_token": end, "tokenizer_class": "PreTrainedTokenizerFast"}
    )


def _installed(name: str, home: Path) -> Path:
    from malmoi.engine.catalog import Catalog

    catalog = Catalog(home)
    known = [card.name for card in catalog.entries() if catalog.installed(card.name)]
    if name not in known:
        raise NotFound(
            f"there is no file or folder {name}, and no installed model of that name"
            f" (installed: {', '.join(known) or 'none'}).",
            fix="Give the path of a model, or run: malmoi models add NAME",
        )
    return catalog.path(name)


def _merged(path: Path, tokens: list[str], merges: list[Any], pre: str) -> Any:
    from tokenizers import Tokenizer as Backend
    from tokenizers import decoders, models

    if pre not in _PATTERNS:
        raise Unsupported(
            f"{path.name} cuts text in a way that is not known here ({pre!r}).",
            fix=f"Known: {', '.join(sorted(_PATTERNS))}. Compare with the model's tokenizer.json instead.",
        )
    pairs = [_pair(path, merge) for merge in merges]
    vocab = {token: number for number, token in enumerate(tokens)}
    backend = Backend(models.BPE(vocab=vocab, merges=pairs, ignore_merges=pre in _WHOLE_WORDS))
    backend.pre_tokenizer = byte_level(_PATTERNS[pre])
    backend.decoder = decoders.ByteLevel()
    return backend


def _pair(path: Path, merge: Any) -> Merge:
    left, space, right = merge.partition(" ") if isinstance(merge, str) else ("", "", "")
    if not space:
        raise ModelFileInvalid(f"{path.name}: the merge {str(merge)[:80]!r} is not a pair.")
    return left, right


def _scored(tokens: list[str], scores: list[float], types: list[int], *, space_prefix: bool) -> Any:
    from tokenizers import Tokenizer as Backend
    from tokenizers import decoders, models, normalizers

    vocab = {token: number for number, token in enumerate(tokens)}
    text = {
        token: number
        for token, number in vocab.items()
        if types[number] not in (_UNKNOWN, _CONTROL, _UNUSED, _BYTE)
    }
    ranked = sorted(_ways(text), key=lambda way: (-scores[way[0]], way))
    merges = [pair for _, pair in ranked]
    unknown = next((tokens[number] for number, kind in enumerate(types) if kind == _UNKNOWN), None)
    model = models.BPE(
        vocab=vocab, merges=merges, byte_fallback=True, unk_token=unknown, fuse_unk=unknown is not None
    )
    backend = Backend(model)
    replace = normalizers.Replace(" ", _SPACE)
    backend.normalizer = (
        normalizers.Sequence([normalizers.Prepend(_SPACE), replace]) if space_prefix else replace
    )
    backend.decoder = decoders.Sequence(
        [decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    return backend


def _ways(text: Mapping[str, int]) -> Iterator[tuple[int, Merge]]:
    """Every way to make a token of two others."""
    for token, number in text.items():
        for at in range(1, len(token)):
            left, right = token[:at], token[at:]
            if left in text and right in text:
                yield number, (left, right)


def _add_tokens(backend: Any, tokens: list[str], types: list[int]) -> None:
    """Control tokens are special, and those of the user are matched before everything else."""
    from tokenizers import AddedToken

    control = [token for token, kind in zip(tokens, types, strict=True) if kind == _CONTROL]
    user = [token for token, kind in zip(tokens, types, strict=True) if kind == _USER_DEFINED]
    backend.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in control])
    backend.add_tokens([AddedToken(token, special=False, normalized=False) for token in user])
