"""Skills in Python: a provider from an entry point path. Only the operator's own code is run so."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, cast

from malmoi.assist.skills.operation import Provider
from malmoi.core.errors import ConfigError


def open_python(path: str, settings: Mapping[str, Any]) -> Provider:
    """Make the provider that "package.module:Attribute" names.

    Raises:
        ConfigError: there is no such module or attribute, or it cannot be made with these settings.
    """
    module, _, attribute = path.partition(":")
    try:
        make = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"source.python: {path!r} cannot be imported ({error}).",
            fix="Install the package, or correct the path.",
        ) from error
    try:
        provider = make(**settings)
    except TypeError as error:
        raise ConfigError(
            f"source.python: {path!r} cannot be made with source.settings ({error})."
        ) from error
    if not all(callable(getattr(provider, name, None)) for name in ("operations", "call", "close")):
        raise ConfigError(
            f"source.python: {path!r} makes no provider.",
            fix="It needs the methods operations, call and close (malmoi.assist.skills.operation.Provider).",
        )
    return cast("Provider", provider)
