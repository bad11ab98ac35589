"""Tiny whole models, with weights from a fixed seed, that llama.cpp and transformers can run."""

from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

SENTENCES = (
    "오늘은 날씨가 좋아서 공원에 산책을 갔습니다.",
    "내일은 비가 온다고 하니 우산을 챙기세요.",
    "공원에서 친구를 만나 커피를 마셨습니다.",
    "the weather is good and the park is open",
    "words of another language are in the model, too",
    "天気がいいので公園を散歩しました。",
)
KOREAN = SENTENCES[:3]
SPACE = "\u2581"
PLACEHOLDERS = ("<unused0>", "<unused1>")


def spm_vocabulary(pieces: int = 160) -> tuple[list[str], list[float], list[int]]:
    """Texts, scores and types as a GGUF file of the kind "llama" has them, learned from `SENTENCES`."""
    texts = ["<unk>", "<s>", "</s>", *PLACEHOLDERS, "<turn>"]
    scores = [-1000.0] * len(texts)
    types = [2, 3, 3, 3, 3, 4]
    texts += [f"<0x{byte:02X}>" for byte in range(256)]
    scores += [0.0] * 256
    types += [6] * 256
    words = [list(SPACE + word) for sentence in SENTENCES for word in sentence.split(" ")]
    letters = sorted({letter for word in words for letter in word})
    learned: list[str] = []
    for _ in range(pieces):
        pairs = Counter(pair for word in words for pair in pairwise(word))
        if not pairs:
            break
        left, right = max(pairs, key=lambda pair: (pairs[pair], pair))
        learned.append(left + right)
        words = [_joined(word, left, right) for word in words]
    learned = list(dict.fromkeys(learned))
    for number, piece in enumerate([*learned, *letters]):
        texts.append(piece)
        scores.append(-float(number))
        types.append(1)
    return texts, scores, types


def _joined(word: list[str], left: str, right: str) -> list[str]:
    out: list[str] = []
    for part in word:
        if out and out[-1] == left and part == right:
            out[-1] = left + right
        else:
            out.append(part)
    return out


def write_spm_gguf(path: Path) -> Path:
    """A Llama of one layer with an SPM vocabulary and a Q8_0 embedding that is its output head, too."""
    texts, scores, types = spm_vocabulary()
    writer = _writer(path, "llama", len(texts))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(texts)
    writer.add_token_scores(scores)
    writer.add_token_types(types)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_add_bos_token(True)
    writer.add_add_space_prefix(False)
    _add_weights(writer, len(texts), head=False)
    return path


def write_bpe_gguf(path: Path) -> Path:
    """The same with a byte-level BPE vocabulary, Q8_0 embedding and an output head of its own in F16."""
    tokenizer = byte_level_bpe()
    vocabulary = tokenizer.get_vocab(with_added_tokens=False)
    texts = sorted(vocabulary, key=vocabulary.__getitem__)
    types = [1] * len(texts) + [3, 3, 5]
    texts += ["<|endoftext|>", "<|im_start|>", "[PAD9]"]
    import json

    merges = [" ".join(pair) for pair in json.loads(tokenizer.to_str())["model"]["merges"]]
    writer = _writer(path, "llama", len(texts))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(texts)
    writer.add_token_types(types)
    writer.add_token_merges(merges)
    writer.add_eos_token_id(len(texts) - 3)
    writer.add_add_bos_token(False)
    _add_weights(writer, len(texts), head=True)
    return path


def byte_level_bpe() -> Any:
    """A `tokenizers` byte-level BPE learned from `SENTENCES`, with two control tokens."""
    from tokenizers import (
        AddedToken,
        Regex,
        Tokenizer,
        decoders,
        models,
        pre_tokenizers,
        processors,
        trainers,
    )

    tokenizer: Any = Tokenizer(models.BPE())
    pattern = (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
        r"|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator([*SENTENCES] * 3, trainer)
    tokenizer.add_special_tokens([AddedToken("<|endoftext|>"), AddedToken("<|im_start|>")])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<|im_start|> $A",
        special_tokens=[("<|im_start|>", tokenizer.token_to_id("<|im_start|>"))],
    )
    return tokenizer


def write_folder_model(path: Path, *, tied: bool = False, shard: bool = False) -> Path:
    """A Llama of one layer as transformers saves it; its embedding has 8 rows more than tokens."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer = byte_level_bpe()
    start, end = tokenizer.token_to_id("<|im_start|>"), tokenizer.token_to_id("<|endoftext|>")
    rows = tokenizer.get_vocab_size() + 8
    torch.manual_seed(5)
    config = LlamaConfig(
        vocab_size=rows, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=128, tie_word_embeddings=tied,
        bos_token_id=start, eos_token_id=end, pad_token_id=end,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    model.generation_config.eos_token_id = [config.eos_token_id, config.bos_token_id]
    model.save_pretrained(path, max_shard_size="40KB" if shard else "1GB")
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|endoftext|>", bos_token="<|im_start|>"
    ).save_pretrained(path)
    return path


def _writer(path: Path, architecture: str, size: int) -> Any:
    from gguf import GGUFWriter

    writer: Any = GGUFWriter(path, architecture)
    writer.add_name("Tiny")
    writer.add_vocab_size(size)
    writer.add_context_length(256)
    writer.add_embedding_length(64)
    writer.add_block_count(1)
    writer.add_feed_forward_length(128)
    writer.add_head_count(2)
    writer.add_head_count_kv(2)
    writer.add_rope_dimension_count(32)
    writer.add_layer_norm_rms_eps(1e-5)
    return writer


def _add_weights(writer: Any, size: int, *, head: bool) -> None:
    from gguf import GGMLQuantizationType, quants

    random = np.random.default_rng(3)

    def weight(*shape: int) -> np.ndarray:
        return random.normal(0.0, 0.3, shape).astype(np.float32)

    embedding = quants.quantize(weight(size, 64), GGMLQuantizationType.Q8_0)
    writer.add_tensor("token_embd.weight", embedding, raw_dtype=GGMLQuantizationType.Q8_0)
    if head:
        writer.add_tensor("output.weight", weight(size, 64).astype(np.float16))
    writer.add_tensor("output_norm.weight", np.ones(64, np.float32))
    for name in ("attn_norm", "ffn_norm"):
        writer.add_tensor(f"blk.0.{name}.weight", np.ones(64, np.float32))
    for name, shape in {
        "attn_q": (64, 64), "attn_k": (64, 64), "attn_v": (64, 64), "attn_output": (64, 64),
        "ffn_gate": (128, 64), "ffn_up": (128, 64), "ffn_down": (64, 128),
    }.items():  # fmt: skip
        writer.add_tensor(f"blk.0.{name}.weight", weight(*shape))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
