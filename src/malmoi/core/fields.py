"""The names that a part of a pydantic model may have, for messages that say what was meant."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, TypeGuard, Union, get_args, get_origin

from pydantic import BaseModel

EXTRA = "extra_forbidden"  # what pydantic calls a name that a model does not have


def field_names(annotation: Any, path: Sequence[str | int]) -> list[str]:
    """The names that the object at a path may have; none where no model says them.

    Args:
        annotation: a model, or a type with models in it.
        path: as in pydantic's `loc`: fields, places in lists, keys of mappings, names of union members.
    """
    places = _kinds(annotation)
    for part in path:
        places = [inner for kind in places for inner in _within(kind, part)]
    return sorted({name for kind in places if _is_model(kind) for name in _names(kind)})


def nearest(name: str, known: Sequence[str]) -> str:
    """The known name that was meant, probably; empty: none is near."""
    return next(iter(get_close_matches(name, known, n=1, cutoff=0.5)), "")


def _kinds(annotation: Any) -> list[Any]:
    """A type as the types that it is made of: members of unions one by one."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kinds(inner[0])
    if origin in (Union, UnionType):
        return [kind for member in inner for kind in _kinds(member)]
    return [annotation]


def _within(kind: Any, part: str | int) -> list[Any]:
    origin, inner = get_origin(kind), get_args(kind)
    if _is_model(kind):
        fields = [field for name, field in kind.model_fields.items() if part in (name, field.alias)]
        return _kinds(fields[0].annotation) if fields else [kind]
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _kinds(inner[1])
    if isinstance(origin, type) and issubclass(origin, Sequence):
        return _kinds(inner[0]) if str(part).isdigit() else [kind]
    return []


def _names(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _is_model(kind: Any) -> TypeGuard[type[BaseModel]]:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
