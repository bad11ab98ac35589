"""Writing a tokenizer as the folder that transformers, our engines and the model exports read."""

from pathlib import Path
from typing import Any

from malmoi.core.files import write_json, write_text
from malmoi.factory.tokenizer.special_tokens import BLOCK, END_OF_TEXT, GROUPS, PADDING


def write_tokenizer(backend: Any, out: Path) -> None:
    """Write tokenizer.json and its companions; there is no chat template, which is how a base model is known.

    Args:
        backend: a `tokenizers.Tokenizer` of `build_backend`.
        out: the folder.
    """
    ends = {"bos_token": END_OF_TEXT, "eos_token": END_OF_TEXT, "pad_token": PADDING}
    write_text(out / "tokenizer.json", backend.to_str(pretty=True) + "\n")
    write_json(
        out / "tokenizer_config.json",
        {
            **ends,
            "add_bos_token": False,
            "add_eos_token": False,
            "clean_up_tokenization_spaces": False,
            "tokenizer_class": "PreTrainedTokenizerFast",
        },
    )
    write_json(out / "special_tokens_map.json", ends)
    added = backend.get_added_tokens_decoder()
    ids = {token.content: number for number, token in sorted(added.items())}
    groups = {name: {token: ids[token] for token in tokens} for name, tokens in GROUPS.items()}
    write_json(out / "special_tokens.json", {"block": BLOCK, "groups": groups, "ids": ids})
