"""Servers with documents and skills, as MCP clients see them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

pytest.importorskip("mcp")

from mcp_world import World, open_world


@pytest.fixture
async def world(home: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """A running server."""
    async with open_world(home, monkeypatch) as it:
        yield it
