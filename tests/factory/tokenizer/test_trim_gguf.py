"""Trimmed GGUF files: the same rows, the same metadata under new ids, the same answers from llama.cpp."""

import asyncio
import json
import math
import os
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from malmoi.core.errors import Conflict, ModelFileInvalid, Unsupported
from malmoi.engine.modelfile import check_model
from malmoi.factory.tokenizer.trim.gguf_file import GgufFile, read_file, vocabulary_of
from malmoi.factory.tokenizer.trim.model import GgufModel, open_trimmable
from malmoi.factory.tokenizer.trim.render import render_report
from malmoi.factory.tokenizer.trim.trim import Trimming, TrimSettings
from trim_models import KOREAN, SENTENCES, write_bpe_gguf, write_spm_gguf

Maker = Callable[[Path], Path]
MAKERS = pytest.mark.parametrize("make", [write_spm_gguf, write_bpe_gguf], ids=["spm", "bpe"])
STRANGE = "🙂🫠 ٱلسَّلَامُ 漢字 뷁\u3164 end\n\n\tx"


def trim(path: Path, out: Path, size: int = 360, **settings: Any) -> tuple[GgufFile, GgufFile, list[int]]:
    """Trim by the Korean sentences; the files before and after, and the kept ids."""
    model = open_trimmable(path, "tiny")
    trimming = Trimming(model, TrimSettings(size=size, **settings))
    report = trimming.plan(KOREAN)
    trimming.write(report, out, home=out.parent, measure=False)
    return read_file(path), read_file(out / "model.gguf"), report.kept


def data_of(file: GgufFile, name: str) -> bytes:
    tensor = next(tensor for tensor in file.tensors if tensor.name == name)
    with file.path.open("rb") as stream:
        stream.seek(file.data_offset + tensor.offset)
        return stream.read(tensor.size_bytes)


@MAKERS
def test_rows_are_copied_and_everything_else_is_as_it_was(make: Maker, tmp_path: Path) -> None:
    before, after, kept = trim(make(tmp_path / "tiny.gguf"), tmp_path / "out")
    assert check_model(after.path).gguf is not None
    for old, new in zip(before.tensors, after.tensors, strict=True):
        whole, cut = data_of(before, old.name), data_of(after, new.name)
        assert old.type == new.type
        if old.name in ("token_embd.weight", "output.weight"):
            row = len(whole) // old.shape[-1]
            assert new.shape == (old.shape[0], len(kept))
            assert cut == b"".join(whole[row * token : row * (token + 1)] for token in kept)
        else:
            assert (new.shape, cut) == (old.shape, whole)


@MAKERS
def test_metadata_speaks_of_the_new_ids(make: Maker, tmp_path: Path) -> None:
    before, after, kept = trim(make(tmp_path / "tiny.gguf"), tmp_path / "out")
    texts = before.array("tokenizer.ggml.tokens")
    assert after.array("tokenizer.ggml.tokens") == [texts[token] for token in kept]
    for key, value in before.values.items():
        now = after.values[key]
        assert (now.kind, now.element) == (value.kind, value.element)
        if key.endswith("_token_id"):
            assert kept[now.content] == value.content
        elif key == "llama.vocab_size":
            assert now.content == len(kept)
        elif key in ("tokenizer.ggml.scores", "tokenizer.ggml.token_type"):
            assert now.content == [value.content[token] for token in kept]
        elif key == "tokenizer.ggml.merges":
            known = set(after.array("tokenizer.ggml.tokens"))
            assert now.content == [m for m in value.content if known >= {*m.split(" "), m.replace(" ", "")}]
        elif key != "tokenizer.ggml.tokens":
            assert now == value
    assert not any(text.startswith(("<unused", "[PAD")) for text in after.array("tokenizer.ggml.tokens"))


@MAKERS
def test_llamacpp_computes_the_same_logits(make: Maker, tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    before, after, kept = trim(make(tmp_path / "tiny.gguf"), tmp_path / "out")
    same_answers(before.path, after.path, kept, KOREAN, tmp_path, greedy=False)


def test_llamacpp_computes_the_same_logits_of_a_real_model(tmp_path: Path) -> None:
    name = os.environ.get("MALMOI_TEST_MODEL")
    if not name:
        pytest.skip("MALMOI_TEST_MODEL names no GGUF file")
    texts = (
        "대한민국의 수도는 서울이며, 사용자 인터페이스를 만들기 위한",
        "오늘은 날씨가 좋아서 산책을 갔습니다. The weather is good",
    )
    model = open_trimmable(Path(name), "real")
    trimming = Trimming(model, TrimSettings(size=48_000))
    report = trimming.plan(texts)
    trimming.write(report, tmp_path / "out", home=tmp_path, measure=False)
    assert report.weights_bytes_after < 0.9 * report.weights_bytes_before
    same_answers(Path(name), tmp_path / "out" / "model.gguf", report.kept, texts, tmp_path, greedy=True)


def same_answers(
    before: Path, after: Path, kept: list[int], texts: tuple[str, ...], home: Path, *, greedy: bool
) -> None:
    """Tokens, differences of log-probabilities and greedy choices agree; any text comes back."""
    whole = asyncio.run(ask(before, [*texts, STRANGE], home))
    cut = asyncio.run(ask(after, [*texts, STRANGE], home))
    new = {old: number for number, old in enumerate(kept)}
    for text, old, now in zip(texts, whole, cut, strict=False):
        assert [kept[token] for token in now["ids"]] == old["ids"], text
        compared = 0
        for step, (a, b) in enumerate(zip(old["steps"], now["steps"], strict=True)):
            high = {entry["id"]: entry["logprob"] for entry in a["top_logprobs"] if entry["id"] in new}
            low = {entry["id"]: entry["logprob"] for entry in b["top_logprobs"]}
            shared = [token for token in high if new[token] in low]
            assert len(shared) > 20
            shift = low[new[shared[0]]] - high[shared[0]]
            assert shift > -1e-4  # the same logits over fewer tokens
            assert all(math.isclose(low[new[t]], high[t] + shift, abs_tol=2e-4) for t in shared)
            compared += len(shared)
            best = max(shared, key=high.__getitem__)
            assert b["id"] == new[best] or math.isclose(low[b["id"]], high[best] + shift, abs_tol=2e-4)
            if a["id"] not in new:
                break  # from here on the two continue different texts
            if greedy:
                assert b["id"] == new[a["id"]], (text, step)
        assert compared
    for entry in (whole[-1], cut[-1]):
        assert entry["back"].endswith(STRANGE)


async def ask(path: Path, texts: list[str], home: Path) -> list[dict[str, Any]]:
    """Ids, text that comes back, and the likeliest tokens of greedy steps, by llama.cpp itself."""
    from malmoi.engine.llamacpp.engine import LlamaCppEngine
    from malmoi.engine.open import open_engine
    from malmoi.engine.options import EngineOptions

    options = EngineOptions(context_length=256, slots=1, threads=1)
    engine = await open_engine(f"path:{path}", home=home, options=options)
    assert isinstance(engine, LlamaCppEngine)
    found = []
    try:
        url, key = await engine.native_address()
        for text in texts:
            ids = list(await engine.tokenize(text))
            body = {
                "prompt": ids, "n_predict": 3, "temperature": 0, "n_probs": 150, "cache_prompt": False,
                "ignore_eos": True,
            }  # fmt: skip
            answer = await asyncio.to_thread(post, f"{url}/completion", key, body)
            back = await engine.detokenize(ids)
            found.append({"ids": ids, "back": back, "steps": answer["completion_probabilities"]})
    finally:
        await engine.close()
    return found


def post(url: str, key: str, body: dict[str, Any]) -> Any:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    request = urllib.request.Request(url, data=json.dumps(body).encode(), headers=headers)
    with urllib.request.urlopen(request, timeout=50) as answer:
        return json.load(answer)


@MAKERS
def test_our_tokens_are_those_of_the_whole_model(make: Maker, tmp_path: Path) -> None:
    before, after, kept = trim(make(tmp_path / "tiny.gguf"), tmp_path / "out")
    whole, smaller = vocabulary_of(before), vocabulary_of(after)
    for text in KOREAN:
        assert [kept[token] for token in smaller.encode(text)] == whole.encode(text)
    assert len(smaller.encode(SENTENCES[4])) > len(whole.encode(SENTENCES[4]))


def test_the_report_says_what_is_lost(tmp_path: Path) -> None:
    trimming = Trimming(GgufModel(write_spm_gguf(tmp_path / "t.gguf"), "tiny"), TrimSettings(size=330))
    report = trimming.plan(
        [*KOREAN, *(f"{sentence} {number}" for number in range(60) for sentence in KOREAN)]
    )
    assert report.vocabulary_after == 330
    assert report.held_out_documents > 0
    assert report.documents == 183
    assert report.held_out.before > 0
    assert report.probes["korean"].ratio <= report.probes["japanese"].ratio
    assert report.scripts["hangul"].after > 0.5 * report.scripts["hangul"].before
    text = render_report(report)
    assert "330 tokens" in text
    assert "held out" in text
    lost = [name for name, growth in report.probes.items() if growth.ratio >= 1.15]
    assert all(name in text.split("Lost in part: ")[-1] for name in lost)


def test_the_second_data_weighs_what_it_is_told(tmp_path: Path) -> None:
    model = GgufModel(write_spm_gguf(tmp_path / "t.gguf"), "tiny")
    english = SENTENCES[3:5]
    plain = Trimming(model, TrimSettings(size=300)).plan(KOREAN)
    mixed = Trimming(model, TrimSettings(size=300, also_share=0.9)).plan(KOREAN, english)
    whole = model.vocabulary

    def cost(kept: list[int]) -> int:
        return sum(len(whole.restricted(kept).encode(text)) for text in english)

    assert cost(mixed.kept) < cost(plain.kept)


def test_an_existing_folder_is_left_alone(tmp_path: Path) -> None:
    path = write_spm_gguf(tmp_path / "t.gguf")
    (tmp_path / "out").mkdir()
    with pytest.raises(Conflict, match="is there already"):
        trim(path, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_file_that_ends_early_leaves_nothing_behind(tmp_path: Path) -> None:
    path = write_spm_gguf(tmp_path / "t.gguf")
    trimming = Trimming(GgufModel(path, "tiny"), TrimSettings(size=340))
    report = trimming.plan(KOREAN)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 5000)
    with pytest.raises(ModelFileInvalid, match="became shorter"):
        trimming.write(report, tmp_path / "out", home=tmp_path, measure=False)
    assert [entry.name for entry in tmp_path.iterdir()] == ["t.gguf"]


def test_other_tokenizers_are_refused(tmp_path: Path) -> None:
    raw = write_spm_gguf(tmp_path / "t.gguf").read_bytes()
    changed = tmp_path / "bert.gguf"
    at = raw.index(b"tokenizer.ggml.model")
    changed.write_bytes(raw[:at] + raw[at:].replace(b"llama", b"berts", 1))
    with pytest.raises(Unsupported, match="'berts', which cannot be trimmed"):
        _ = GgufModel(changed, "tiny").vocabulary


def test_what_is_no_model_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelFileInvalid, match="there is no file or folder"):
        open_trimmable(tmp_path / "none.gguf", "none")
    (tmp_path / "text.gguf").write_text("hello there")
    with pytest.raises(ModelFileInvalid, match="not a GGUF file"):
        open_trimmable(tmp_path / "text.gguf", "text")
