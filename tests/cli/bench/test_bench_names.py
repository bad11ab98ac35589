"""Which benches and parts a command line asks for."""

import pytest

from malmoi.cli.bench import _chosen
from malmoi.core.errors import UnknownName


def test_a_bench_is_measured_whole_or_in_parts() -> None:
    assert _chosen(("factory",)) == {"factory": frozenset()}
    assert _chosen(("factory.text", "gateway", "factory.speed")) == {
        "factory": {"text", "speed"},
        "gateway": frozenset(),
    }
    assert _chosen(("factory.text", "factory")) == {"factory": frozenset()}


@pytest.mark.parametrize("name", ["factry", "factory.sped", "gateway.speed"])
def test_an_unknown_name_is_told(name: str) -> None:
    with pytest.raises(UnknownName):
        _chosen((name,))
