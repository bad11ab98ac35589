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


@pytest.mark.parametrize(
    ("default", "name"),
    [
        ("standard", "standard"),
        ("http://127.0.0.1:8000/v1#org/model", "org/model"),
        ("path:/models/mine.gguf", "mine"),
        ("path:/models/folder", "folder"),
        ("scripted:/tmp/demo.toml", "demo"),
        ("hf:org/name", "name"),
    ],
)
def test_a_default_reference_has_a_name(default: str, name: str) -> None:
    models = load_config(ServeSettings, overrides=[f"models.default={default}"]).models
    assert models.default_name == name
    assert models.references == ({} if default == name else {name: default})
