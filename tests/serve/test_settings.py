import pytest

from malmoi.core.config import load_config
from malmoi.serve.settings import ServeSettings


@pytest.mark.parametrize(
    ("host", "names", "loopback"),
    [
        ("127.0.0.1", "[]", True),
        ("127.8.8.8", "[]", True),
        ("::1", "[]", True),
        ("localhost", "[]", True),
        ("0.0.0.0", "[]", False),
        ("::", "[]", False),
        ("192.168.0.3", "[]", False),
        ("example.kr", "[]", False),
        ("127.0.0.1", '["chat.example.kr"]', False),
        ("127.0.0.1", '["localhost"]', True),
    ],
)
def test_loopback_is_by_address_and_by_name(host: str, names: str, loopback: bool) -> None:
    settings = load_config(ServeSettings, overrides=[f"http.host={host}", f"http.allowed_hosts={names}"])
    assert settings.is_loopback is loopback
