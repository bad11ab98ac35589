"""Here the migrations themselves are tested: they run in every test."""

import pytest


@pytest.fixture(autouse=True)
def tables_are_copied() -> None:
    """No copies."""
