"""Model folders for others: transformers' own format."""

import shutil
from pathlib import Path
from typing import Any

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "special_tokens.json",
    "chat_template.jinja",
)


def export_folder(model: Any, tokenizer_files: Path | None, out: Path) -> None:
    """Write config.json, model.safetensors, generation_config.json and the tokenizer's files."""
    out.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(out, safe_serialization=True)
    if tokenizer_files is not None:
        for name in TOKENIZER_FILES:
            if (tokenizer_files / name).is_file():
                shutil.copyfile(tokenizer_files / name, out / name)
