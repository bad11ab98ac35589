from collections.abc import Iterator

import pytest
from web_server import Site, serve


@pytest.fixture
def site() -> Iterator[Site]:
    """An HTTP server on this machine."""
    with serve() as running:
        yield running
