"""The house: who may import whom, and what the rooms are called."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parent.parent / "src" / "malmoi"
MODULES = sorted(SOURCE.rglob("*.py"))


def test_only_the_torch_engine_factory_and_users_import_torch() -> None:
    importers = {
        module.relative_to(SOURCE).as_posix()
        for module in MODULES
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if {"torch", "transformers"} & _imported(node)
    }
    allowed = ("engine/torch", "factory/", "users/")
    assert {name for name in importers if not name.startswith(allowed)} == set()


def _imported(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Import):
        return {alias.name.partition(".")[0] for alias in node.names}
    if isinstance(node, ast.ImportFrom):
        return {(node.module or "").partition(".")[0]}
    return set()


def test_names_say_what_is_inside() -> None:
    vague = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "base_utils"}
    assert [module for module in MODULES if module.stem in vague or module.parent.name in vague] == []


def test_nothing_unpickles() -> None:
    importers = [
        module.relative_to(SOURCE).as_posix()
        for module in MODULES
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if {"pickle", "cPickle", "dill", "joblib", "marshal", "shelve"} & _imported(node)
    ]
    assert importers == []


@pytest.mark.parametrize(
    "name", ["malmoi.core.types", "malmoi.engine.base", "malmoi.serve.settings", "malmoi.testing"]
)
def test_importing_a_room_loads_no_torch(name: str) -> None:
    program = (
        f"import sys, {name}; print([m for m in ('torch', 'transformers', 'xllamacpp') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_recipe_is_planned_without_torch(tmp_path: Path) -> None:
    program = (
        "import sys; from malmoi.cli import cli; "
        f"cli.main(['run', 'tiny-ko', '--dry-run', '--home', {str(tmp_path)!r}], standalone_mode=False); "
        "print([m for m in ('torch', 'transformers', 'datatrove') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
