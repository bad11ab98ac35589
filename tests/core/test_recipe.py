from pathlib import Path

import pytest

from counting_stages import stages
from malmoi.core.errors import MalmoiError
from malmoi.core.recipe import Recipe, check_recipe, read_recipe

PLAIN = 'name = "tiny"\nseed = 3\n[stages.count]\nupto = 4\n[stages.double]\n'


def read(folder: Path, text: str = PLAIN, overrides: tuple[str, ...] = ()) -> Recipe:
    (folder / "tiny.toml").write_text(text, encoding="utf-8")
    return check_recipe(read_recipe(folder / "tiny.toml", overrides), stages())


def test_a_recipe_lists_stages_in_order_and_wires_them_by_kind(tmp_path: Path) -> None:
    recipe = read(tmp_path)
    assert (recipe.name, recipe.seed, recipe.names()) == ("tiny", 3, ["count", "double"])
    assert recipe.steps[0].config.model_dump() == {"upto": 4, "workers": 1, "fail": ""}
    assert recipe.steps[1].inputs == {"numbers": "count"}


def test_the_nearest_earlier_stage_is_taken_unless_one_is_named(tmp_path: Path) -> None:
    text = 'name = "t"\n[stages.a]\nuse = "count"\n[stages.b]\nuse = "count"\n[stages.double]\n'
    assert read(tmp_path, text).steps[2].inputs == {"numbers": "b"}
    assert read(tmp_path, text + 'inputs = {numbers = "a"}').steps[2].inputs == {"numbers": "a"}


def test_a_stage_may_have_its_own_seed(tmp_path: Path) -> None:
    recipe = read(tmp_path, PLAIN, ("double.seed=5",))
    assert [step.seed for step in recipe.steps] == [3, 5]


def test_set_goes_over_the_file_and_the_file_over_what_it_extends(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text(PLAIN, encoding="utf-8")
    child = 'extends = "base.toml"\nname = "child"\n[stages.count]\nupto = 9\n'
    recipe = read(tmp_path, child, ("count.workers=7", "seed=8"))
    assert (recipe.name, recipe.seed, recipe.names()) == ("child", 8, ["count", "double"])
    assert recipe.steps[0].config.model_dump() == {"upto": 9, "workers": 7, "fail": ""}


@pytest.mark.parametrize(
    ("text", "overrides", "parts"),
    [
        (
            PLAIN.replace("upto", "uptoo"),
            (),
            ["tiny.toml", "stages.count.uptoo", "Did you mean stages.count.upto?"],
        ),
        (PLAIN.replace("upto = 4", 'upto = "x"'), (), ["tiny.toml", "stages.count.upto", "integer"]),
        (PLAIN, ("count.upto=many",), ["--set count.upto=many", "stages.count.upto"]),
        (PLAIN, ("cuont.upto=1",), ["did you mean 'count'"]),
        (PLAIN, ("count=1",), ["STAGE.key=value"]),
        (PLAIN, ("count.upto",), ["has no '='"]),
        (PLAIN + "[extra]\n", (), ["tiny.toml", "'extra'"]),
        ('name = "Tiny Ko"\n[stages.count]\n', (), ["tiny.toml", "'Tiny Ko'"]),
        ('name = "t"\nseed = -1\n[stages.count]\n', (), ["seed is -1"]),
        ('name = "t"\n', (), ["no stages"]),
        ('name = "t"\n[stages.double]\n', (), ["stages.double needs a corpus as its numbers"]),
        (
            'name = "t"\n[stages.x]\nuse = "cont"\n',
            (),
            ["no stage 'cont'", "mean 'count'", "tiny.toml"],
        ),
        (PLAIN + 'inputs = {text = "count"}', (), ["stages.double.inputs", "no input 'text'", "numbers"]),
        (PLAIN + 'inputs = ["count"]', (), ["stages.double.inputs must be a table"]),
        (
            PLAIN + '[stages.more]\nuse = "double"\ninputs = {numbers = "double"}',
            (),
            ["makes a report, not a corpus"],
        ),
        ("name = ", (), ["tiny.toml is not valid TOML"]),
        ('name = "t"\nextends = "none.toml"\n', (), ["none.toml"]),
    ],
)
def test_what_is_wrong_is_named(
    tmp_path: Path, text: str, overrides: tuple[str, ...], parts: list[str]
) -> None:
    with pytest.raises(MalmoiError) as caught:
        read(tmp_path, text, overrides)
    for part in parts:
        assert part in str(caught.value)


def test_a_recipe_extends_one_level(tmp_path: Path) -> None:
    (tmp_path / "first.toml").write_text(PLAIN, encoding="utf-8")
    (tmp_path / "second.toml").write_text('extends = "first.toml"\n', encoding="utf-8")
    with pytest.raises(MalmoiError, match="extend one level"):
        read(tmp_path, 'extends = "second.toml"\nname = "t"\n')
