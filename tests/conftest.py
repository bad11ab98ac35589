"""What every test has: a clean environment, a home of its own, and no way out of this machine."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

# Named here, so that one PostgreSQL server is started for all tests.
pytest_plugins = ["databases"]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No MALMOI_* setting of the person who runs the tests reaches them."""
    for name in list(os.environ):
        if (
            name.startswith("MALMOI_")
            and not name.startswith("MALMOI_TEST_")
            and name != "MALMOI_SCREENSHOTS"
        ):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def only_loopback(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A connection to any other machine is an error, unless the test is marked `net`."""
    if request.node.get_closest_marker("net"):
        yield
        return
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        host = address[0] if isinstance(address, tuple) else None
        if self.family in (socket.AF_INET, socket.AF_INET6) and host not in ("127.0.0.1", "::1", "localhost"):
            raise AssertionError(f"this test tried to reach {address!r}")
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", guarded)
    yield


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty home directory."""
    path = tmp_path / "home"
    path.mkdir()
    return path
