from pathlib import Path

import pytest

from malmoi.core.errors import ModelFileInvalid, UnknownName
from malmoi.core.store import Store
from malmoi.core.types import Chat, Message
from malmoi.engine.base import Engine, Sampling
from malmoi.engine.collect import collect
from malmoi.engine.open import engine_schemes, open_engine
from malmoi.engine.options import EngineOptions
from malmoi.engine.scripted import ScriptedEngine


async def test_a_script_is_opened_by_its_file(home: Path, tmp_path: Path) -> None:
    (tmp_path / "script.toml").write_text('[[rules]]\nreply = "네."\n')
    engine = await open_engine(f"scripted:{tmp_path / 'script.toml'}", home=home)
    assert isinstance(engine, Engine)
    answer = await collect(engine.stream(Chat((Message("user", "?"),)), Sampling()))
    assert answer.text == "네."
    await engine.close()


@pytest.mark.parametrize(
    ("ref", "part"),
    [
        ("standrad", "did you mean 'standard'"),
        ("scriptd:x", "did you mean 'scripted'"),
        ("embed:other", "did you mean|Known: e5, search, use"),
        ("run:sft-0", "no run 'sft-0'"),
        ("hf:org/name", "malmoi models add hf:org/name"),
        ("small", "malmoi models add small"),
    ],
)
async def test_a_wrong_reference_names_the_fix(ref: str, part: str, home: Path) -> None:
    with pytest.raises(UnknownName) as caught:
        await open_engine(ref, home=home)
    import re

    assert re.search(part, str(caught.value))


async def test_a_missing_file_is_named(home: Path) -> None:
    with pytest.raises(ModelFileInvalid, match=r"/nowhere/x\.gguf"):
        await open_engine("path:/nowhere/x.gguf", home=home)


async def test_a_file_that_is_no_model_is_refused(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(b"GGUF" + b"\xff" * 64)
    with pytest.raises(ModelFileInvalid, match=r"x\.gguf"):
        await open_engine(f"path:{path}", home=home)


async def test_a_run_without_a_model_says_so(home: Path) -> None:
    run = Store(home / "store").new_run("sft", config={}, seed=0)
    with pytest.raises(ModelFileInvalid, match="has made no model yet"):
        await open_engine(f"run:{run.id}", home=home)


def test_the_schemes_are_known() -> None:
    known = {"path", "hf", "run", "torch", "http", "https", "scripted", "embed"}
    assert set(engine_schemes().names()) >= known


async def test_a_model_can_be_run_by_torch_beside_others_that_are_not(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[tuple[Path, EngineOptions]] = []

    async def note(path: Path, *, options: EngineOptions, **_: object) -> ScriptedEngine:
        opened.append((path, options))
        return ScriptedEngine()

    monkeypatch.setattr("malmoi.engine.open._open_files", note)
    path = tmp_path / "x.gguf"
    path.write_bytes(b"GGUF")
    options = EngineOptions(threads=3)
    await open_engine(f"torch:path:{path}", home=home, options=options)
    await open_engine(f"path:{path}", home=home, options=options)
    assert [(one, way.torch, way.threads) for one, way in opened] == [(path, True, 3), (path, False, 3)]
