from concurrent.futures import ThreadPoolExecutor

import pytest

from malmoi.core.errors import UnknownName
from malmoi.core.registry import Registry


def test_an_entry_is_imported_when_asked_for() -> None:
    registry: Registry[object] = Registry("thing")
    registry.add("sqrt", "math:sqrt")
    assert registry.get("sqrt")(9) == 3  # type: ignore[operator]


def test_an_unknown_name_names_the_nearest() -> None:
    registry: Registry[int] = Registry("thing")
    registry.add("local", 1)
    with pytest.raises(UnknownName, match=r"no thing 'locl' \(did you mean 'local'\?\)"):
        registry.get("locl")


def test_one_name_is_never_two_things() -> None:
    registry: Registry[int] = Registry("thing")
    registry.add("a", 1)
    registry.add("a", 1)
    with pytest.raises(ValueError, match="'a' is 1 already"):
        registry.add("a", 2)


def test_entries_of_the_wrong_kind_are_refused() -> None:
    registry: Registry[int] = Registry("thing", expected=int)
    registry.add("text", "math:sqrt")
    with pytest.raises(TypeError, match="not a int"):
        registry.get("text")


def test_installed_packages_add_entries() -> None:
    registry: Registry[object] = Registry("app")
    assert "chat" in registry
    assert "chat" in list(registry)


def test_many_threads_get_the_same_object() -> None:
    registry: Registry[object] = Registry("thing")
    registry.add("d", "decimal:Decimal")
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: registry.get("d"), range(64)))
    assert len(set(map(id, found))) == 1
