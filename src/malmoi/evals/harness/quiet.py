"""Importing lm-eval without network, noise and torch."""

import importlib
import logging
import os
import warnings
from importlib.util import find_spec

from malmoi.core.errors import MissingExtra

# Read when the libraries below lm-eval are imported; none of our tasks needs the hub.
_OFFLINE = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_EVALUATE_OFFLINE")
_NOISY = ("lm_eval", "datasets", "evaluate", "fsspec", "filelock", "urllib3", "huggingface_hub")


def import_lm_eval(*, offline: bool = True) -> None:
    """Import lm-eval's evaluator; after this, importing its parts costs nothing.

    Args:
        offline: whether the hub is never asked; stock tasks need it.

    Raises:
        MissingExtra: it is not installed.
    """
    if find_spec("lm_eval") is None:
        raise MissingExtra("Judging a model", "eval")
    if offline:
        for name in _OFFLINE:
            os.environ[name] = "1"
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TQDM_DISABLE", "1")  # our own progress says it
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of other people's modules, about each other
        importlib.import_module("lm_eval.evaluator")


def versions() -> dict[str, str]:
    """Versions of what the figures depend on, as far as it is installed."""
    from importlib.metadata import PackageNotFoundError, version

    from malmoi import __version__

    found = {"malmoi": __version__}
    for name in ("lm-eval", "torch", "transformers", "xllamacpp", "numpy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
