"""Models of some ten thousand weights and a tokenizer of 600 tokens, made here."""

from pathlib import Path
from typing import Any

import torch

from malmoi.factory.models.build import build_model, save_model
from malmoi.factory.models.settings import ModelSettings, model_config

SPECIAL = ["<|endoftext|>", "<|pad|>", "<|endofturn|>", "<|im_end|>"]
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TEXTS = [
    "안녕하세요. 오늘은 날씨가 아주 좋습니다. 한국의 수도는 서울입니다!",
    "The quick brown fox's tail jumps over THE lazy dog; hello there, it'll rain.",
    "def add(first: int, second: int) -> int:\n    return first + second  # 더하기\n",
    "전화 010-1234-5678, 값은 3.14159원이고 2024년 12월입니다.",
    "😀👩‍👩‍👧 이모지 ﷽ ★☆ \t\ttabs   and   spaces  \n\n\n끝",
    "漢字とかな mixed Ελληνικά العربية ไทย",
]


def build_tokenizer(folder: Path) -> Path:
    """A byte-level BPE tokenizer as Malmoi's are: single digits, control tokens first, NFC."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    bpe = Tokenizer(models.BPE())
    bpe.normalizer = normalizers.NFC()
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(TEXTS * 20, trainer)
    folder.mkdir(parents=True, exist_ok=True)
    bpe.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|endoftext|>"}', encoding="utf-8"
    )
    return folder


def small_model(*, vocab_size: int = 608, seed: int = 0, **settings: Any) -> Any:
    """A model whose every weight matters: norms are not 1 and the logits are spread, so that no two tie."""
    defaults: dict[str, Any] = {
        "hidden_size": 64,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "intermediate_size": 96,
    }
    config = model_config(
        ModelSettings.model_validate({**defaults, **settings}),
        vocab_size=vocab_size,
        context_length=256,
        eot_id=0,
    )
    model = build_model(config, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 1:
                parameter.copy_(0.5 + torch.rand(parameter.shape, generator=generator))
            if name == "model.norm.weight":
                parameter.mul_(8)
        if config.tie_word_embeddings:
            # A token would predict itself; with small embeddings the layers have their say.
            model.model.embed_tokens.weight.mul_(0.1)
            model.model.norm.weight.mul_(10)
    return model.eval()


def save_small(folder: Path, **settings: Any) -> Any:
    """`small_model` in a folder with the tokenizer."""
    model = small_model(**settings)
    save_model(model, build_tokenizer(folder / "tokenizer"), folder / "model")
    return model
