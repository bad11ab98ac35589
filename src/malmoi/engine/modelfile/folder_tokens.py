"""The tokenizer of a model folder: template, special tokens and their numbers."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from malmoi.core.errors import ModelFileInvalid
from malmoi.engine.modelfile.info import SpecialToken

MAX_TEMPLATE_BYTES = 1 << 20
MAX_SPECIAL_TOKENS = 1 << 16


@dataclass(frozen=True, slots=True)
class TokenizerInfo:
    """What tokenizer.json, tokenizer_config.json and chat_template.jinja say; None: they do not."""

    vocab_size: int
    chat_template: str | None
    bos_token: str | None
    bos_id: int | None
    eos_token: str | None
    eos_id: int | None
    add_bos: bool | None
    special_tokens: tuple[SpecialToken, ...]


def read_tokenizer(path: Path, objects: dict[str, dict[str, Any]]) -> TokenizerInfo:
    """Gather the tokenizer from a folder's JSON `objects` (by file name) and its template file.

    Raises:
        ModelFileInvalid: naming the file and the fault.
    """
    options = objects.get("tokenizer_config.json", {})
    tokenizer = objects.get("tokenizer.json", {})
    special = _added_tokens(tokenizer)
    by_text = {token.text: token.id for token in special}
    bos, eos = _token_text(options.get("bos_token")), _token_text(options.get("eos_token"))
    add_bos = options.get("add_bos_token")
    return TokenizerInfo(
        vocab_size=_vocab_size(tokenizer, special),
        chat_template=_template(path, options),
        bos_token=bos,
        bos_id=by_text.get(bos or ""),
        eos_token=eos,
        eos_id=by_text.get(eos or ""),
        add_bos=add_bos if isinstance(add_bos, bool) else None,
        special_tokens=special,
    )


def _added_tokens(tokenizer: dict[str, Any]) -> tuple[SpecialToken, ...]:
    added = tokenizer.get("added_tokens", [])
    if not isinstance(added, list) or len(added) > MAX_SPECIAL_TOKENS:
        raise ModelFileInvalid(f"tokenizer.json: added_tokens is not a list of at most {MAX_SPECIAL_TOKENS}.")
    found = []
    for entry in added:
        number, text = (entry.get("id"), entry.get("content")) if isinstance(entry, dict) else (None, None)
        if type(number) is not int or number < 0 or not isinstance(text, str):
            raise ModelFileInvalid("tokenizer.json: an entry of added_tokens has no id or content.")
        found.append(SpecialToken(number, text, "control" if entry.get("special") else "user_defined"))
    return tuple(sorted(found, key=lambda token: token.id))


def _vocab_size(tokenizer: dict[str, Any], special: tuple[SpecialToken, ...]) -> int:
    model = tokenizer.get("model")
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    if not isinstance(vocabulary, dict | list):
        return 0
    return max(len(vocabulary), max((token.id + 1 for token in special), default=0))


def _template(path: Path, options: dict[str, Any]) -> str | None:
    file = path / "chat_template.jinja"
    if file.is_file():
        if file.stat().st_size > MAX_TEMPLATE_BYTES:
            raise ModelFileInvalid(f"{file.name}: has more than {MAX_TEMPLATE_BYTES} bytes.")
        try:
            return file.read_text(encoding="utf-8") or None
        except UnicodeDecodeError as error:
            raise ModelFileInvalid(f"{file.name}: is not UTF-8.") from error
    template = options.get("chat_template")
    if isinstance(template, list):  # several, by name
        named = {entry.get("name"): entry.get("template") for entry in template if isinstance(entry, dict)}
        template = named.get("default")
    if template is not None and not isinstance(template, str):
        raise ModelFileInvalid("tokenizer_config.json: chat_template is not text.")
    if template is not None and len(template) > MAX_TEMPLATE_BYTES:
        raise ModelFileInvalid(f"tokenizer_config.json: chat_template is longer than {MAX_TEMPLATE_BYTES}.")
    return template or None


def _token_text(value: Any) -> str | None:
    """A token is written as its text or as an object with `content`."""
    if isinstance(value, dict):
        value = value.get("content")
    return value if isinstance(value, str) else None
