"""Filling a card from what the checked files say."""

from malmoi.engine.catalog.card import ModelCapability, ModelCard
from malmoi.engine.catalog.job import Fetched
from malmoi.engine.modelfile import FolderInfo, GgufInfo, ModelFileInfo


def described(card: ModelCard, info: ModelFileInfo, fetched: Fetched) -> ModelCard:
    """The card of the installed model. What a built-in entry says of title, licence and abilities stays."""
    found = info.gguf or info.folder
    assert found is not None, "only GGUF files and folders become models"
    template = found.chat_template
    known = {
        "format": "gguf" if info.gguf else "safetensors",
        "size_bytes": sum(record.size for record in fetched.files),
        "sha256": fetched.files[0].sha256 if len(fetched.files) == 1 else None,
        "context_length": found.context_length,
        "architecture": found.architecture,
        "parameters": found.parameters,
        "quantization": info.gguf.quantization if info.gguf else "/".join(found_types(info.folder)),
        "vocab_size": found.vocab_size or None,
        "chat_template": template,
        "special_tokens": _texts(found, user_defined=False),
        "user_defined_tokens": _texts(found, user_defined=True),
        "bos_token": found.bos_token,
        "bos_id": found.bos_id,
        "eos_token": found.eos_token,
        "eos_id": found.eos_id,
        "add_bos": found.add_bos,
    }
    if not card.source.startswith("packages:"):
        capabilities: tuple[ModelCapability, ...] = ("generate",)
        if template:
            capabilities = ("generate", "chat", "tools") if "tools" in template else ("generate", "chat")
        known |= {"base": template is None, "capabilities": capabilities}
    if info.gguf is not None:
        known["title"] = card.title if card.title != card.name else info.gguf.name or card.name
    known["license"] = card.license or fetched.license or (info.gguf.license if info.gguf else "")
    known["languages"] = card.languages or fetched.languages
    return card.model_copy(update=known)


def found_types(folder: FolderInfo | None) -> tuple[str, ...]:
    """The types of a folder's weights."""
    return folder.dtypes if folder else ()


def _texts(found: GgufInfo | FolderInfo, *, user_defined: bool) -> tuple[str, ...]:
    return tuple(
        token.text for token in found.special_tokens if (token.kind == "user_defined") is user_defined
    )
