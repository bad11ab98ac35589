"""Models and files for the tests of the harness."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from malmoi.engine.base import Engine, Score
from malmoi.engine.scripted import ScriptedEngine

WORDS = [
    "날씨가",
    "좋아서",
    "나는",
    "산책을",
    "했다.",
    "비가",
    "와서",
    "우산을",
    "썼다.",
    "커피를",
    "마셨다.",
]


def write_copa(data: Path, *, rows: int = 12) -> None:
    """KoBEST COPA and BoolQ of words that repeat, as their files are."""
    folder = data / "kobest"
    for split, count in (("train", 20), ("dev", rows)):
        lines = ["ID\tsentence\tquestion\t1\t2\tAnswer"]
        asked = ["ID\tText\tQuestion\tAnswer"]
        for n in range(count):
            word = [WORDS[(n * k + k) % len(WORDS)] for k in range(1, 8)]
            why = "원인" if n % 3 else "결과"
            lines.append(
                f"{n}\t{word[0]} {word[1]} {n}\t{why}\t{word[2]} {word[3]}\t{word[4]} {n}\t{n % 2 + 1}"
            )
            asked.append(f"{n}\t{' '.join(word)} {n}\t{word[5]} {word[6]}\t{n % 3 == 0}")
        for name, text in (("COPA", lines), ("BoolQ", asked)):
            (folder / name).mkdir(parents=True, exist_ok=True)
            (folder / name / f"{split}.tsv").write_text("\n".join(text) + "\n", encoding="utf-8")


def write_gsm8k(data: Path, rows: int = 4) -> None:
    """Sums, as GSM8K's files are."""
    folder = data / "gsm8k"
    folder.mkdir(parents=True, exist_ok=True)
    for split in ("train", "test"):
        lines = [
            json.dumps({"question": f"What is {n} plus 2?", "answer": f"Add them.\n#### {n + 2}"})
            for n in range(rows)
        ]
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


class CountingEngine(ScriptedEngine):
    """Counts what it is asked to score, and fails when told to."""

    def __init__(self, *args: Any, fail_after: int | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.pairs: list[tuple[str, str]] = []
        self.fail_after = fail_after

    async def score(self, pairs: Sequence[tuple[str, str]]) -> list[Score]:
        if self.fail_after is not None and len(self.pairs) + len(pairs) > self.fail_after:
            raise KeyboardInterrupt
        self.pairs.extend(pairs)
        return await super().score(pairs)


class GivenEngines:
    """What `ModelEngines` is, with engines that are open already."""

    def __init__(self, runner: asyncio.Runner, engine: Engine) -> None:
        self.runner = runner
        self.ref = "given"
        self._engine = engine

    def writer(self) -> Engine:
        return self._engine

    def scorer(self) -> Engine | None:
        return self._engine if "score" in self._engine.info.capabilities else None

    def need_scorer(self) -> Engine:
        return self._engine


def build_llama(folder: Path) -> Path:
    """A tiny random Llama with a byte-level BPE tokenizer, as a folder of safetensors."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator([" ".join(WORDS)] * 4, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, bos_token="<|endoftext|>", eos_token="<|endoftext|>"
    )
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        initializer_range=0.2,
    )
    torch.set_num_threads(1)
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
