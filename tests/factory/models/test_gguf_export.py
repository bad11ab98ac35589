"""GGUF files: what llama.cpp computes from them is what torch computes from the model."""

import asyncio
import json
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("gguf")
pytest.importorskip("xllamacpp")

import httpx  # noqa: E402
import numpy as np  # noqa: E402
from small_models import TEXTS, build_tokenizer, save_small, small_model  # noqa: E402

from malmoi.core.errors import DiskFull, ModelFileInvalid, Unsupported  # noqa: E402
from malmoi.core.stage import StageContext  # noqa: E402
from malmoi.core.store import Store  # noqa: E402
from malmoi.engine.base import Sampling  # noqa: E402
from malmoi.engine.modelfile import check_model  # noqa: E402
from malmoi.engine.open import open_engine  # noqa: E402
from malmoi.engine.options import EngineOptions  # noqa: E402
from malmoi.factory.models.build import save_model  # noqa: E402
from malmoi.factory.models.gguf import GgufConfig, GgufStage, write_gguf  # noqa: E402
from malmoi.factory.tokenizer.tokenizer import Tokenizer  # noqa: E402

PROMPT = tuple(range(100, 140))
NUM_TOKENS = 32
# For each structure a seed whose 32 greedy tokens are each at least GAP ahead of the next likeliest: 16 bits
# change logits by less.
GAP = 0.12
STRUCTURES: dict[str, dict[str, Any]] = {
    "peri-ln": {"seed": 8},
    "pre-ln": {"use_post_norm": False, "seed": 21},
    "peri-ln untied": {"tie_word_embeddings": False, "seed": 9},
    "pre-ln untied": {"tie_word_embeddings": False, "use_post_norm": False, "seed": 29},
}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@asynccontextmanager
async def opened(file: Path, home: Path) -> AsyncIterator[Any]:
    options = EngineOptions.model_validate({"threads": 1, "context_length": 256, "slots": 1})
    engine = await open_engine(f"path:{file}", home=home, options=options)
    try:
        yield engine
    finally:
        await engine.close()


def greedy(model: Any) -> tuple[list[int], float]:
    """The likeliest continuation, and the least distance of a token from the next likeliest."""
    ids, gap = list(PROMPT), math.inf
    with torch.no_grad():
        for _ in range(NUM_TOKENS):
            first, second = (top := model(torch.tensor([ids])).logits[0, -1].topk(2)).values.tolist()
            gap = min(gap, first - second)
            ids.append(int(top.indices[0]))
    return ids[len(PROMPT) :], gap


@pytest.mark.parametrize("structure", STRUCTURES)
async def test_the_same_greedy_tokens_as_torch(tmp_path: Path, structure: str) -> None:
    model = await asyncio.to_thread(save_small, tmp_path, **STRUCTURES[structure])
    wanted, gap = greedy(model)
    assert gap > GAP
    assert len(set(wanted)) > 20
    report = write_gguf(tmp_path / "model", tmp_path / "model.gguf", type="F16")
    assert report["architecture"] == ("glm4" if structure.startswith("peri") else "llama")
    async with opened(tmp_path / "model.gguf", tmp_path / "home") as engine:
        [completion] = await engine.generate([PROMPT], Sampling(max_tokens=NUM_TOKENS, temperature=0.0))
    assert list(completion.token_ids) == wanted


async def first_logprobs(engine: Any, prompts: list[tuple[int, ...]]) -> list[dict[int, float]]:
    """llama.cpp's log-probabilities of the token after each prompt, by id.

    Empty where the token is half a character: it tells none for those.
    """
    url, key = await engine.native_address()
    found = []
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {key}"}, timeout=60) as client:
        for prompt in prompts:
            body = {"prompt": list(prompt), "n_predict": 1, "temperature": 0, "n_probs": 50}
            answer = (await client.post(f"{url}/completion", json=body)).json()
            for step in answer.get("completion_probabilities") or [{"top_logprobs": []}]:
                found.append({row["id"]: row["logprob"] for row in step["top_logprobs"]})
    return found


@pytest.mark.parametrize(("type", "tolerance"), [("F16", 0.02), ("BF16", 0.2), ("Q8_0", 0.5), ("Q4_0", 2.5)])
async def test_probabilities_are_near_those_of_torch(tmp_path: Path, type: Any, tolerance: float) -> None:
    model = await asyncio.to_thread(save_small, tmp_path)
    write_gguf(tmp_path / "model", tmp_path / "model.gguf", type=type)
    prompts = [tuple((7 * i) % 500 + 50 for i in range(length)) for length in (1, 2, 3, 9, 40, 130)]
    async with opened(tmp_path / "model.gguf", tmp_path / "home") as engine:
        found = await first_logprobs(engine, prompts)
    assert sum(map(bool, found)) >= 3
    errors = []
    for prompt, logprobs in zip(prompts, found, strict=True):
        with torch.no_grad():
            wanted = torch.log_softmax(model(torch.tensor([prompt])).logits[0, -1], dim=-1)
        near = [number for number in logprobs if wanted[number] > -5]
        errors += [abs(float(wanted[number]) - logprobs[number]) for number in near]
    assert float(np.mean(errors)) < tolerance


async def test_text_becomes_the_same_tokens(tmp_path: Path) -> None:
    await asyncio.to_thread(save_small, tmp_path)
    write_gguf(tmp_path / "model", tmp_path / "model.gguf")
    tokenizer = Tokenizer.load(tmp_path / "model")
    texts = [
        *TEXTS,
        "<|endoftext|> <|im_end|>아직 <|pad|><|endofturn|",
        "ㅋㅋㅋ ㅠㅠ 뷁 쀍 1234567890 x = 12, x =12",
        "  들여쓰기\n\tif (a >= 0x1F) {\r\n  return `${b}`; }\n\n\n",
        "I'LL DON'T we're 'S's ’s",
        "🇰🇷🏴‍☠️ ½ Ⅷ ① ٣ 〇 \u200b\u00a0\u3000끝",
    ]
    async with opened(tmp_path / "model.gguf", tmp_path / "home") as engine:
        url, key = await engine.native_address()
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {key}"}) as client:
            for text in texts:
                body = {"content": text, "add_special": True, "parse_special": False}
                found = (await client.post(f"{url}/tokenize", json=body)).json()["tokens"]
                assert found == tokenizer.encode(text), text
                assert await engine.detokenize(found) == text
            # Where control tokens are meant, they are control tokens.
            body = {"content": "a<|im_end|>", "add_special": True, "parse_special": True}
            found = (await client.post(f"{url}/tokenize", json=body)).json()["tokens"]
    assert found == [*tokenizer.encode("a"), tokenizer.special["<|im_end|>"]]


def test_our_own_reader_accepts_and_describes_the_file(tmp_path: Path) -> None:
    save_small(tmp_path, vocab_size=640)
    (tmp_path / "model" / "chat_template.jinja").write_text("{{ messages }}", encoding="utf-8")
    report = write_gguf(tmp_path / "model", tmp_path / "model.gguf", type="Q4_0", name="작은 모델")
    info = check_model(tmp_path / "model.gguf").gguf
    assert info is not None
    assert (info.architecture, info.quantization, info.name) == ("glm4", "Q4_0", "작은 모델")
    assert (info.context_length, info.vocab_size, info.parameters) == (256, 640, report["parameters"])
    assert (info.eos_id, info.eos_token, info.add_bos) == (0, "<|endoftext|>", False)
    assert [token.text for token in info.special_tokens if token.kind == "control"] == [
        "<|endoftext|>", "<|pad|>", "<|endofturn|>", "<|im_end|>",
    ]  # fmt: skip
    assert info.chat_template == "{{ messages }}"
    assert report["tensors"] == {"F32": 13, "Q4_0": 18, "Q8_0": 1}
    assert report["size_bytes"] == (tmp_path / "model.gguf").stat().st_size


def test_rows_that_fit_no_block_stay_in_16_bits(tmp_path: Path) -> None:
    save_small(tmp_path, intermediate_size=100)
    report = write_gguf(tmp_path / "model", tmp_path / "model.gguf")
    assert report["tensors"]["F16"] == 3
    assert "rows of 100 are no multiple of 32" in report["notes"][0]
    check_model(tmp_path / "model.gguf")


def test_weights_in_pieces_give_the_same_file(tmp_path: Path) -> None:
    model = save_small(tmp_path)
    write_gguf(tmp_path / "model", tmp_path / "whole.gguf")
    (tmp_path / "model" / "model.safetensors").unlink()
    model.save_pretrained(tmp_path / "model", max_shard_size="150KB")
    assert (tmp_path / "model" / "model.safetensors.index.json").is_file()
    write_gguf(tmp_path / "model", tmp_path / "pieces.gguf")
    assert (tmp_path / "whole.gguf").read_bytes() == (tmp_path / "pieces.gguf").read_bytes()


def drop_weight(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.0.post_norm1.weight"]
    save_file(weights, folder / "model.safetensors")


def change(name: str, **values: Any) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        found = json.loads((folder / name).read_text(encoding="utf-8"))
        found.update(values)
        (folder / name).write_text(json.dumps(found), encoding="utf-8")

    return apply


def other_pattern(folder: Path) -> None:
    file = folder / "tokenizer.json"
    file.write_text(file.read_text(encoding="utf-8").replace(r"\\p{N}", r"\\p{N}{1,2}"), encoding="utf-8")


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (drop_weight, ModelFileInvalid, r"post_norm1.weight is missing"),
        (lambda folder: (folder / "tokenizer.json").unlink(), ModelFileInvalid, "no tokenizer.json"),
        (lambda folder: (folder / "config.json").unlink(), ModelFileInvalid, "no config.json"),
        (lambda folder: (folder / "model.safetensors").unlink(), ModelFileInvalid, "no model.safetensors"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"x"), ModelFileInvalid, "cannot be read"),
        (lambda folder: (folder / "tokenizer.json").write_text("{"), ModelFileInvalid, "cannot be read"),
        (change("config.json", vocab_size=500), ModelFileInvalid, "has 500 rows"),
        (change("config.json", intermediate_size=64), ModelFileInvalid, r"has the shape \(96, 64\)"),
        (change("config.json", attention_bias=True), Unsupported, "has biases"),
        (change("tokenizer.json", model={"type": "Unigram", "vocab": []}), Unsupported, "not Unigram"),
        (other_pattern, Unsupported, "no name for"),
    ],
)  # fmt: skip
def test_what_cannot_be_converted_is_named(
    tmp_path: Path, damage: Callable[[Path], None], error: type[Exception], message: str
) -> None:
    save_small(tmp_path)
    damage(tmp_path / "model")
    with pytest.raises(error, match=message):
        write_gguf(tmp_path / "model", tmp_path / "out" / "model.gguf")
    assert list((tmp_path / "out").glob("*")) == []


def test_other_architectures_are_refused(tmp_path: Path) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    model = GPT2LMHeadModel(GPT2Config(n_layer=1, n_head=2, n_embd=8, vocab_size=608, n_positions=8))
    save_model(model, build_tokenizer(tmp_path / "tokenizer"), tmp_path / "model")
    with pytest.raises(Unsupported, match="type gpt2"):
        write_gguf(tmp_path / "model", tmp_path / "model.gguf")


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    from gguf import GGUFWriter

    save_small(tmp_path)

    def no_room(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(GGUFWriter, "write_tensor_data", no_room)
    with pytest.raises(DiskFull, match=r"model\.gguf"):
        write_gguf(tmp_path / "model", tmp_path / "out" / "model.gguf")
    assert list((tmp_path / "out").iterdir()) == []


def test_the_stage_writes_the_same_file_every_time(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    model = small_model()
    tokenizer = build_tokenizer(tmp_path / "tokenizer")
    with store.new_artifact("model", "tiny") as folder:
        save_model(model, tokenizer, folder)
    [artifact] = store.artifacts("model")
    files = []
    for name in ("a", "b"):
        out, work = tmp_path / name, tmp_path / f"{name}-work"
        out.mkdir()
        work.mkdir()
        context = StageContext(store=store, name="gguf", work=work, seed=0, home=tmp_path)
        metadata = GgufStage().run(GgufConfig(), {"model": artifact}, out, context)
        assert metadata["type"] == "Q8_0"
        assert sorted(path.name for path in out.iterdir()) == ["about", "model.gguf"]
        files.append((out / "model.gguf").read_bytes())
    assert files[0] == files[1]
