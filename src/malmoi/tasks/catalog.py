"""Which task files there are: those of the package, of installed packages, and of a folder of the user.

A package adds tasks by an entry point of the group `malmoi.tasks` that names one of its modules: the task
files lie beside it, as `<family>/<task>.toml`.
"""

import re
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from malmoi.core.config import ConfigTree, read_toml
from malmoi.core.errors import ConfigError, NotFound, UnknownName
from malmoi.tasks.settings import TableSettings

_NAME = re.compile(r"[\w.+-]{1,80}")
_LARGEST = 1_000_000  # bytes of a task file
_GROUP = "malmoi.tasks"


def known_tasks(tasks_folder: Path | None = None) -> dict[str, Path]:
    """The descriptions that there are: `family/task` -> file, sorted.

    Args:
        tasks_folder: a folder of the user's own, with files `<family>/<task>.toml`.

    Raises:
        NotFound: there is no such folder.
        ConfigError: two files have one name, a name has other signs than letters, digits and `_ . + -`, or an
            installed package's tasks cannot be found.
    """
    found: dict[str, Path] = {}
    folders = [Path(__file__).parent, *_folders_of_packages()]
    if tasks_folder is not None:
        if not tasks_folder.is_dir():
            raise NotFound(f"there is no folder of tasks {tasks_folder}.")
        folders.append(tasks_folder)
    for folder in folders:
        for path in sorted(folder.glob("*/*.toml")):
            name = f"{path.parent.name}/{path.stem}"
            if not (_NAME.fullmatch(path.parent.name) and _NAME.fullmatch(path.stem)):
                raise ConfigError(
                    f"{path}: {name!r} cannot name a task.", fix="Use letters, digits and _ . + - only."
                )
            if name in found:
                raise ConfigError(
                    f"{path}: {name} is there already, in {found[name]}.", fix="Rename the file."
                )
            found[name] = path
    return dict(sorted(found.items()))


def read_settings(name: str, *, tasks_folder: Path | None = None) -> tuple[TableSettings, str]:
    """The description of a task, checked, and its file.

    A file may begin from another of its folder: `extends = "that"`; its own keys lie over those.

    Raises:
        UnknownName: there is no such task; the message names the nearest.
        ConfigError: the description is wrong; the message has file and key.
    """
    known = known_tasks(tasks_folder)
    if name not in known:
        raise UnknownName("task", name, known)
    tree = ConfigTree()
    for path, table in _layers(known[name], ()):
        tree.merge(table, origin=str(path))
    try:
        return tree.validate(TableSettings), str(known[name])
    except ConfigError as error:
        if str(known[name].parent) in error.message:
            raise
        raise ConfigError(f"{known[name]}: {error.message}", fix=error.fix) from None  # a key that is missing


def _layers(path: Path, above: tuple[Path, ...]) -> list[tuple[Path, dict[str, Any]]]:
    if path.is_file() and path.stat().st_size > _LARGEST:
        raise ConfigError(f"{path} is larger than a task file may be ({_LARGEST} bytes).")
    table = read_toml(path)
    base = table.pop("extends", None)
    if base is None:
        return [(path, table)]
    if not isinstance(base, str) or not _NAME.fullmatch(base):
        raise ConfigError(f"{path}: extends should be the name of a file in its folder, without .toml.")
    if path in above or len(above) > 8:
        raise ConfigError(f"{path}: its extends go in a circle.")
    return [*_layers(path.with_name(f"{base}.toml"), (*above, path)), (path, table)]


def _folders_of_packages() -> list[Path]:
    folders = []
    for point in sorted(entry_points(group=_GROUP), key=lambda point: point.name):
        try:
            module = point.load()
            folders.append(Path(module.__file__).parent)
        except Exception as error:  # a stranger's package may raise anything
            raise ConfigError(
                f"the tasks of the entry point {point.name!r} cannot be found: {error}.",
                fix=f"It should name a module ({point.value}); mend or uninstall its package.",
            ) from None
    return folders
