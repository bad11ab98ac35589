"""Names that parts of models may have."""

from collections.abc import Mapping
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from malmoi.core.fields import EXTRA, field_names, nearest


class Leaf(BaseModel):
    model_config = ConfigDict(extra="forbid")

    colour: str = ""
    size: int = Field(default=0, alias="leafSize")


class Flower(BaseModel):
    model_config = ConfigDict(extra="forbid")

    petals: int = 0


class Tree(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    leaves: Annotated[list[Leaf], Field(max_length=3)] = []
    by_name: Mapping[str, Leaf] = {}
    grows: Leaf | list[Flower] | None = None
    more: dict[str, Any] = {}


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ((), ["by_name", "grows", "leaves", "more", "name"]),
        (("leaves", 0), ["colour", "leafSize"]),
        (("by_name", "oak"), ["colour", "leafSize"]),
        (("grows", "Leaf"), ["colour", "leafSize"]),
        (("grows", "list[Flower]", 1), ["colour", "leafSize", "petals"]),
        (("more", "x"), []),
        (("name",), []),
    ],
)
def test_names_at_a_path(path: tuple[str | int, ...], names: list[str]) -> None:
    assert field_names(Tree, path) == names


def test_fits_what_pydantic_says() -> None:
    with pytest.raises(ValidationError) as caught:
        Tree.model_validate({"name": "oak", "leaves": [{"color": "green"}]})
    (fault,) = caught.value.errors()
    assert fault["type"] == EXTRA
    assert nearest("color", field_names(Tree, fault["loc"][:-1])) == "colour"
    assert nearest("wheels", field_names(Tree, ())) == ""
