"""A byte-level BPE tokenizer as GGUF's vocabulary, so that llama.cpp cuts text into the same tokens."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from malmoi.core.errors import ModelFileInvalid, Unsupported
from malmoi.factory.tokenizer.splitting import LLAMA3, QWEN2

# What llama.cpp calls the ways to cut text before merging, by their regular expressions (llama-vocab.cpp). It
# holds the expressions itself: the file names one of them.
_PRE_TOKENIZERS = {
    QWEN2: "qwen2",
    QWEN2.replace(
        "(?i:'s|'t|'re|'ve|'m|'ll|'d)", "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
    ): "qwen2",
    LLAMA3: "llama-bpe",
}
_NORMAL, _CONTROL, _USER_DEFINED, _UNUSED = 1, 3, 4, 5


@dataclass(frozen=True, slots=True)
class GgufVocabulary:
    """What GGUF's `tokenizer.ggml.*` keys hold; `types` are llama.cpp's token types."""

    tokens: list[str]
    types: list[int]
    merges: list[str]
    pre: str
    special: dict[str, int]
    chat_template: str | None


def read_vocabulary(folder: Path, *, rows: int) -> GgufVocabulary:
    """The vocabulary of a folder with a byte-level BPE tokenizer.json.

    Args:
        folder: where tokenizer.json lies.
        rows: rows of the model's embedding; those beyond the tokenizer become unused tokens.

    Raises:
        ModelFileInvalid: there is no tokenizer.json, or it has more tokens than the embedding rows.
        Unsupported: it is no byte-level BPE, or cuts text in a way that llama.cpp has no name for.
    """
    file = folder / "tokenizer.json"
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelFileInvalid(f"{folder}: there is no tokenizer.json, which a GGUF file needs.") from None
    except (OSError, ValueError) as error:
        raise ModelFileInvalid(f"{file} cannot be read: {error}.") from error
    model = data.get("model") or {}
    if model.get("type") != "BPE" or model.get("byte_fallback"):
        raise Unsupported(f"{file}: only byte-level BPE can be written to GGUF, not {model.get('type')}.")
    texts: dict[int, str] = {number: text for text, number in model["vocab"].items()}
    types = dict.fromkeys(texts, _NORMAL)
    special = {}
    for token in data.get("added_tokens") or []:
        texts[token["id"]] = token["content"]
        types[token["id"]] = _CONTROL if token["special"] else _USER_DEFINED
        if token["special"]:
            special[token["content"]] = token["id"]
    if texts and max(texts) >= rows:
        raise ModelFileInvalid(
            f"{file} has the token {max(texts)}, but the model's embedding has {rows} rows.",
            fix="Use the tokenizer that the model was trained with.",
        )
    template = folder / "chat_template.jinja"
    return GgufVocabulary(
        # The names need only be different from each other and from all tokens.
        tokens=[texts.get(number, f"[unused {number}]") for number in range(rows)],
        types=[types.get(number, _UNUSED) for number in range(rows)],
        merges=[merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]],
        pre=_pre_tokenizer(data.get("pre_tokenizer"), file),
        special=special,
        chat_template=template.read_text(encoding="utf-8") if template.is_file() else None,
    )


def _pre_tokenizer(found: Any, file: Path) -> str:
    steps = found.get("pretokenizers", [found]) if isinstance(found, dict) else []
    kinds = [step.get("type") for step in steps]
    if kinds == ["ByteLevel"] and steps[0].get("use_regex", True) and not steps[0].get("add_prefix_space"):
        return "gpt-2"
    if (
        kinds == ["Split", "ByteLevel"]
        and not steps[1].get("use_regex")
        and steps[0]["behavior"] == "Isolated"
    ):
        name = _PRE_TOKENIZERS.get(steps[0]["pattern"].get("Regex", ""))
        if name is not None and not steps[0].get("invert") and not steps[1].get("add_prefix_space"):
            return name
    raise Unsupported(
        f"{file} cuts text before merging in a way that llama.cpp has no name for ({kinds}).",
        fix="Train the tokenizer with the standard expression.",
    )
