import pytest

from malmoi.core.child import child_environment


def test_a_child_learns_none_of_our_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALMOI_DATABASE__URL", "postgresql://gaon:secret@host/malmoi")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    environment = child_environment(TMPDIR="/x")
    assert "secret" not in str(environment)
    assert (environment["HTTPS_PROXY"], environment["TMPDIR"]) == ("http://proxy:3128", "/x")
