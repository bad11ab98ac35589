"""How long the first word of a skill's answer takes: the whole way, with a model that says one sentence."""

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "assist" / "skills"))
from skill_world import embed

from malmoi.core.errors import EngineError
from malmoi.serve.skills import first_token
from malmoi.testing import Rule, ScriptedEngine


class Embedder:
    """Vectors of words, without a model's files."""

    embed = staticmethod(embed)

    async def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize("reply", ["추석 연휴는 사흘입니다.", ""], ids=["words", "silence"])
async def test_the_first_word_is_waited_for_with_and_without_kept_prompts(
    reply: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    engine = ScriptedEngine([Rule(where="any", reply=reply)])

    async def opened(name: str, **options: Any) -> ScriptedEngine:
        assert name == "standard"
        return engine

    monkeypatch.setattr(first_token, "open_engine", opened)
    monkeypatch.setattr(first_token, "UseEmbedder", Embedder)
    if not reply:
        with pytest.raises(EngineError, match="said nothing"):
            await first_token.first_token_times("standard", tmp_path, 1)
        return
    cold, warm = await first_token.first_token_times("standard", tmp_path, 2)
    assert len(cold) == len(warm) == 2
    assert all(seconds > 0 for seconds in [*cold, *warm])
    kept = [request.sampling.cache_prompt for request in engine.requests]
    assert kept.index(True) == kept.count(False) == kept.count(True)  # first nothing is kept, then all
