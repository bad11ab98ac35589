"""Typed configuration: a TOML file, then MALMOI_* variables, then `--set a.b=c`; the later one wins.

A configuration is a frozen pydantic model that forbids unknown keys. Whatever is wrong in it becomes one
`ConfigError` that names where the value came from (file, variable or option), its path, and the nearest key
that exists.

    load_config(ServeSettings, file=Path("malmoi.toml"), environ=os.environ, overrides=["http.port=9000"])

A variable's name is the path in capitals with two underscores between levels: MALMOI_HTTP__PORT=9000.
"""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError

from malmoi.core.errors import ConfigError
from malmoi.core.fields import EXTRA, field_names, nearest

ENVIRONMENT_PREFIX = "MALMOI_"

C = TypeVar("C", bound=BaseModel)
_Path = tuple[str, ...]


def load_config(
    model: type[C],
    *,
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Sequence[str] = (),
    reserved: Sequence[str] = (),
) -> C:
    """Read a configuration from all its sources and check it.

    Args:
        model: the pydantic model of the whole tree.
        file: a TOML file; None: no file.
        environ: variables to look for MALMOI_* in; None: none.
        overrides: `a.b=c` settings; `c` is a TOML value, or else plain text.
        reserved: MALMOI_* variables that are not configuration, such as those of the tests.

    Raises:
        ConfigError: for the first fault, with its source, path and fix.
    """
    tree = ConfigTree()
    if file is not None:
        tree.merge(read_toml(file), origin=str(file))
    for name, text in sorted((environ or {}).items()):
        if name.startswith(ENVIRONMENT_PREFIX) and name not in reserved:
            path = tuple(part.lower() for part in name.removeprefix(ENVIRONMENT_PREFIX).split("__"))
            tree.put(path, text, model, origin=f"the variable {name}")
    for override in overrides:
        path, text = parse_override(override)
        tree.put(path, text, model, origin=f"--set {override}")
    return tree.validate(model)


class ConfigTree:
    """Settings from several sources, each remembered with where it came from."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self._source: dict[_Path, str] = {}

    def merge(self, new: Mapping[str, Any], *, origin: str) -> None:
        """Lay a table over what is there; tables are merged, everything else is replaced."""
        _merge(self.values, new, self._source, origin=origin)

    def put(self, path: _Path, text: str, model: type[BaseModel] | None, *, origin: str) -> None:
        """Set one value given as text; `model` tells whether the field takes text or a TOML value."""
        _put(self.values, path, text, model, self._source, origin=origin)

    def origin(self, path: _Path) -> str:
        """Where the value at `path`, or the nearest table above it, came from."""
        places = (path[:length] for length in range(len(path), -1, -1))
        found = next((self._source[place] for place in places if place in self._source), "")
        return found or next(iter(self._source.values()), "the configuration")

    def take(self, path: _Path) -> "ConfigTree":
        """The table at `path` as a tree of its own, with its sources."""
        branch = ConfigTree()
        node: Any = self.values
        for part in path:
            node = node.get(part, {}) if isinstance(node, dict) else {}
        branch.values = dict(node)
        branch._source = {
            key[len(path) :]: text
            for key, text in self._source.items()
            if key[: len(path)] == path and key != path
        }
        branch._source.setdefault((), self._source.get(path, ""))
        return branch

    def validate(self, model: type[C], *, under: str = "") -> C:
        """The tree as a checked model; `under` is written before each path of a message.

        Raises:
            ConfigError: for the first fault, with its source, path and fix.
        """
        try:
            return model.model_validate(self.values)
        except ValidationError as error:
            raise _explain(error, model, self._source, under) from None


def parse_override(override: str) -> tuple[_Path, str]:
    """`a.b=c` as its path and text.

    Raises:
        ConfigError: there is no '='.
    """
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set {override!r} has no '='.", fix="Write it as --set section.key=value.")
    return tuple(key.strip().split(".")), text


def read_toml(file: Path) -> dict[str, Any]:
    """The tables of a TOML file.

    Raises:
        ConfigError: it cannot be read or is not TOML; the message names it.
    """
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"there is no configuration file {file}.") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{file} is not UTF-8.", fix="Save it as UTF-8.") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file} is not valid TOML: {error}.") from None
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}.") from None


def _merge(
    tree: dict[str, Any], new: Mapping[str, Any], source: dict[_Path, str], *, origin: str, at: _Path = ()
) -> None:
    for key, value in new.items():
        source[(*at, key)] = origin
        if isinstance(value, Mapping):
            branch = tree.setdefault(key, {})
            _merge(branch, value, source, origin=origin, at=(*at, key))
        else:
            tree[key] = value


def _put(
    tree: dict[str, Any],
    path: _Path,
    text: str,
    model: type[BaseModel] | None,
    source: dict[_Path, str],
    *,
    origin: str,
) -> None:
    source[path] = origin
    node = tree
    for depth, part in enumerate(path[:-1], start=1):
        branch = node.setdefault(part, {})
        if not isinstance(branch, dict):
            raise ConfigError(f"{'.'.join(path[:depth])} is not a section, but {origin} sets a key in it.")
        node = branch
    node[path[-1]] = _value(text, _annotation(model, path))


def _value(text: str, annotation: Any) -> Any:
    """`text` as the field wants it: a field of text takes it as it is, others read it as a TOML value."""
    if _takes_text(annotation):
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text  # the model says what it wanted instead


def _takes_text(annotation: Any) -> bool:
    if annotation in (str, Path, SecretStr):
        return True
    if get_origin(annotation) in (Union, UnionType):
        kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
        return bool(kinds) and all(_takes_text(kind) for kind in kinds)
    return False


def _annotation(model: type[BaseModel] | None, path: _Path) -> Any:
    """The type of the field at `path`; None where the path leaves the model (free table, wrong key)."""
    annotation: Any = model
    for part in path:
        section, suffix = _section(annotation)
        if suffix and part.isdigit():  # one of a list
            annotation = section
        elif section is not None:
            field = section.model_fields.get(part)
            if field is None:
                return None
            annotation = field.annotation
        elif get_origin(annotation) is dict:
            annotation = get_args(annotation)[1]
        else:
            return None
    return annotation


def _explain(
    error: ValidationError, model: type[BaseModel], source: Mapping[_Path, str], under: str = ""
) -> ConfigError:
    faults = error.errors(include_url=False, include_input=False)
    # A misspelt key is also a missing one; the misspelling tells people more.
    fault = next((fault for fault in faults if fault["type"] == EXTRA), faults[0])
    location = tuple(str(part) for part in fault["loc"])
    prefixes = [location[:length] for length in range(len(location), -1, -1)]
    origin = next((source[path] for path in prefixes if path in source), "")
    origin = origin or next((text for path, text in source.items() if path[: len(location)] == location), "")
    where = f"{origin}: " if origin else ""
    dotted = ".".join((*((under,) if under else ()), *location))
    if fault["type"] != EXTRA:
        of = f"{dotted}: " if dotted else ""  # what is wrong with all of it together has no name
        return ConfigError(f"{where}{of}{fault['msg'].removeprefix('Value error, ')}.")
    known = field_names(model, location[:-1])
    near = nearest(location[-1], known)
    head = dotted.removesuffix(location[-1])
    fix = f"Did you mean {head}{near}?" if near else f"Known here: {', '.join(known)}."
    return ConfigError(f"{where}there is no setting {dotted}.", fix=fix)


def describe(model: type[BaseModel], *, at: str = "") -> list[tuple[str, str, str]]:
    """Every setting of a configuration as (path, default, what it does), in the order of the model.

    Settings of each element of a list are under `name[]`.
    """
    rows = []
    for name, field in model.model_fields.items():
        path = f"{at}{name}"
        inner, suffix = _section(field.annotation)
        if inner is not None:
            rows.extend(describe(inner, at=f"{path}{suffix}."))
            continue
        default = None if field.is_required() else field.get_default(call_default_factory=True)
        shown = "" if default is None else str(default)
        rows.append((path, shown, " ".join((field.description or "").split())))
    return rows


def _section(annotation: Any) -> tuple[type[BaseModel] | None, str]:
    """The model of a field that is a section or a list of sections, and what marks it as a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, ""
    kinds = [kind for kind in get_args(annotation) if kind not in (type(None), Ellipsis)]
    if len(kinds) == 1 and isinstance(kinds[0], type) and issubclass(kinds[0], BaseModel):
        return kinds[0], "[]" if get_origin(annotation) in (tuple, list) else ""
    return None, ""
