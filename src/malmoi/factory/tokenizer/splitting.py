"""How text is cut before merging, and the `tokenizers` pipeline around it.

The expression is Qwen2's, which llama.cpp knows as `pre = "qwen2"`: contractions; a word with at most one
sign or space before it; single digits, so that a number is read the same wherever it stands; signs with a
space before them; line ends; spaces. No merge ever reaches over such a cut. It is the same when a vocabulary
is trained and when it is used, and no morphological analyser is needed to use one.
"""

from collections.abc import Sequence
from typing import Any

from malmoi.factory.tokenizer.special_tokens import BLOCK, more_reserved, special_tokens
from malmoi.factory.tokenizer.tokenizer import byte_of_character

QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA3 = QWEN2.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"

FIRST_BYTE = BLOCK
"""The id of byte 0; byte b is the token FIRST_BYTE + b."""
FIRST_LEARNED = FIRST_BYTE + 256
"""The id of the first token that a merge makes, and the size of the smallest vocabulary."""

Merge = tuple[str, str]


def byte_letters() -> list[str]:
    """The letter that byte-level BPE writes for each byte, in the order of the bytes."""
    return [letter for letter, _ in sorted(byte_of_character().items(), key=lambda pair: pair[1])]


def byte_level(pattern: str) -> Any:
    """The pre-tokenizer that cuts by `pattern` and writes bytes as letters."""
    from tokenizers import Regex, pre_tokenizers

    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def build_backend(merges: Sequence[Merge], size: int = 0) -> Any:
    """The `tokenizers.Tokenizer` of our vocabularies: control tokens, bytes, then what the merges make.

    Args:
        merges: pairs of tokens in byte letters, in the order of their rank.
        size: reserved tokens fill the vocabulary's end up to this.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers

    vocab = {token: number for number, token in enumerate((*special_tokens(), *byte_letters()))}
    for left, right in merges:
        vocab.setdefault(left + right, len(vocab))
    control = [*special_tokens(), *more_reserved(size - len(vocab))]
    vocab.update({token: len(vocab) + at for at, token in enumerate(control[BLOCK:])})
    backend = Tokenizer(models.BPE(vocab=vocab, merges=list(merges)))
    backend.normalizer = normalizers.NFC()
    backend.pre_tokenizer = byte_level(QWEN2)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in control])
    return backend


def shortened(merges: Sequence[Merge], size: int) -> list[Merge]:
    """The first merges, as many as make a vocabulary of at most `size` tokens."""
    known = set(byte_letters())
    room = size - BLOCK
    kept: list[Merge] = []
    for left, right in merges:
        if left + right not in known:
            if len(known) == room:
                break
            known.add(left + right)
        kept.append((left, right))
    return kept


def learned(merges: Sequence[Merge]) -> int:
    """How many tokens the merges make (two merges may make the same)."""
    return len({left + right for left, right in merges} - set(byte_letters()))
