"""What the documents say is what the code does."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def test_the_reference_is_what_the_code_says() -> None:
    check = [sys.executable, str(ROOT / "scripts/reference.py"), "--check"]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    missing = [target for target in targets if "://" not in target and not (page.parent / target).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_python_examples_compile(page: Path) -> None:
    for number, source in enumerate(
        re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.S)
    ):
        compile(source, f"{page.name}#{number}", "exec")


def test_every_make_target_is_explained() -> None:
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.M)
    assert phony is not None
    undocumented = [name for name in phony[1].split() if not re.search(rf"^{name}:.*## ", makefile, re.M)]
    assert undocumented == []


def test_the_version_is_one() -> None:
    from malmoi import __version__

    assert f'version = "{__version__}"' in (ROOT / "pyproject.toml").read_text()
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_the_recipes_of_the_factory_page_are_recipes(tmp_path: Path) -> None:
    from malmoi.core.recipe import check_recipe, read_recipe
    from malmoi.factory.stages import build_stages

    page = (ROOT / "docs" / "factory.md").read_text(encoding="utf-8")
    recipes = re.findall(r"```toml\n(.*?)```", page, re.S)
    assert recipes
    for text in recipes:
        (tmp_path / "recipe.toml").write_text(text, encoding="utf-8")
        check_recipe(read_recipe(tmp_path / "recipe.toml"), build_stages())


def test_every_recipe_and_study_that_comes_with_it_is_sound() -> None:
    from malmoi.cli.ablate import studies
    from malmoi.cli.run import recipes
    from malmoi.core.recipe import check_recipe, read_recipe
    from malmoi.factory.ablate.study import build_recipe, read_study
    from malmoi.factory.stages import build_stages

    stages = build_stages()
    for path in recipes().values():
        assert check_recipe(read_recipe(path), stages).title
    for path in studies().values():
        settings, base = read_study(path)
        for variant in settings.variants:
            build_recipe(settings, base, variant, 1, stages, {})
