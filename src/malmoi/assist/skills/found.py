"""Where skills are found: in this package, in installed packages, and in the operator's folder."""

from collections.abc import Callable
from functools import partial
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TypeAlias

from malmoi.assist.skills.manifest import MANIFEST_NAME, Skill
from malmoi.assist.skills.manifest_reading import load_skill
from malmoi.core.errors import MalmoiError
from malmoi.core.registry import Registry

FOLDER = "skills"
_BUILTIN = "malmoi.assist.skills.builtin"
SkillFolder: TypeAlias = Callable[[], Traversable]


def skill_registry() -> "Registry[SkillFolder]":
    """Skills of installed packages: functions that give a manifest's folder.

    A package adds one by the entry point group `malmoi.skills`, such as
    `weather = "my_package.weather:folder"`.
    """
    return Registry("skill")


def builtin_skills() -> list[Skill]:
    """The skills of this package, by name.

    Raises:
        ConfigError: a manifest is wrong.
    """
    folders = [one for one in files(_BUILTIN).iterdir() if one.is_dir() and _has_manifest(one)]
    return sorted((load_skill(one, origin="builtin") for one in folders), key=lambda skill: skill.name)


def find_skills(home: Path) -> tuple[list[Skill], dict[str, MalmoiError]]:
    """All skills that need no database, and those that cannot be used with what is wrong.

    A name that is there twice belongs to the first: built-in, then installed packages, then the operator's.

    Args:
        home: Malmoi's home directory; its folder `skills` holds one folder for each skill.
    """
    found: dict[str, Skill] = {skill.name: skill for skill in builtin_skills()}
    broken: dict[str, MalmoiError] = {}
    registry = skill_registry()
    places: list[tuple[str, SkillFolder]] = []
    for name in registry.names():
        try:
            places.append((name, registry.get(name)))
        except (ImportError, AttributeError) as error:
            broken[name] = MalmoiError(f"the entry point of the skill {name!r} cannot be imported: {error}.")
    folder = home / FOLDER
    if folder.is_dir():
        own = sorted(one for one in folder.iterdir() if one.is_dir() and not one.name.startswith("."))
        places += [(one.name, partial(_as_it_is, one)) for one in own]
    for name, place in places:
        try:
            skill = load_skill(place())
        except MalmoiError as error:
            broken[name] = error
            continue
        if skill.name in found:
            broken[name] = MalmoiError(
                f"{skill.folder}: there is another skill {skill.name!r} already.", fix="Rename this one."
            )
        else:
            found[skill.name] = skill
    return sorted(found.values(), key=lambda skill: skill.name), broken


def _as_it_is(folder: Path) -> Traversable:
    return folder


def _has_manifest(folder: Traversable) -> bool:
    return (folder / MANIFEST_NAME).is_file()
