"""Read templates: the built-in ones of the package, and a file of one's own."""

from collections.abc import Mapping
from importlib.resources import as_file, files
from pathlib import Path

from malmoi.assist.templates.flows import flows
from malmoi.assist.templates.template import Template
from malmoi.core.config import ConfigTree, read_toml
from malmoi.core.errors import ConfigError, UnknownName


def load_template(file: Path) -> Template:
    """A template from its file, with the options of its flow checked.

    Raises:
        ConfigError: it cannot be read, or something in it is wrong; the message names file and key.
    """
    tree = ConfigTree()
    tree.merge(read_toml(file), origin=str(file))
    template = tree.validate(Template)
    if template.flow is not None:
        try:
            flows().get(template.flow.name).check(template)
        except UnknownName as error:
            raise ConfigError(f"{file}: flow.name: {error.message}") from error
        except ValueError as error:
            raise ConfigError(f"{file}: flow.options: {error}") from error
    return template


def load_builtin() -> dict[str, Template]:
    """The built-in templates by id, in the order of the list.

    Raises:
        ConfigError: a file is wrong.
    """
    with as_file(files("malmoi.assist.templates").joinpath("files")) as folder:
        loaded = {file.stem: load_template(file) for file in sorted(folder.glob("*.toml"))}
    return dict(sorted(loaded.items(), key=lambda item: item[1].position))


def find_template(name: str) -> tuple[str, Template]:
    """A template by its id, or by the path of its file (one that ends in `.toml`); with its id.

    Raises:
        UnknownName: there is no built-in one of this name.
        ConfigError: a file is wrong.
    """
    if name.endswith(".toml"):
        file = Path(name).expanduser()
        return file.stem, load_template(file)
    known = load_builtin()
    if name not in known:
        raise UnknownName("template", name, known, fix="`malmoi templates list` shows them.")
    return name, known[name]


def missing_skills(template: Template, installed: Mapping[str, object] | frozenset[str]) -> list[str]:
    """The skills that a template names and that are not installed, in its order."""
    return [name for name in template.skills if name not in installed]


def packaged_skills() -> list[str]:
    """The names of the skills that come with the package."""
    folder = files("malmoi.assist.skills.builtin")
    return sorted(entry.name for entry in folder.iterdir() if entry.joinpath("skill.toml").is_file())
