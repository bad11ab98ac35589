"""The one door for model files: check them in a sandboxed child before anything loads them."""

from pathlib import Path
from typing import Any

from malmoi.core import sandbox
from malmoi.core.errors import ModelFileInvalid
from malmoi.core.sandbox import Limits, SandboxFailed
from malmoi.engine.modelfile.info import ModelFileInfo

_HEADER_LIMITS = Limits(seconds=60.0, cpu_seconds=60, memory_bytes=1 << 30)
_FINITE_LIMITS = Limits(seconds=3600.0, cpu_seconds=3600, memory_bytes=1 << 30)
_FUNCTION = "malmoi.engine.modelfile.check:inspect"


def check_model(path: Path, *, finite: bool = False) -> ModelFileInfo:
    """Check a GGUF file, a safetensors file or a model folder, in a child process with limits.

    Args:
        path: file or folder.
        finite: also read all safetensors weights and refuse infinities and NaN (seconds per GB).

    Raises:
        ModelFileInvalid: naming the file and the fault; also when the check crashed or went over a limit.
    """
    try:
        outcome = sandbox.run(_FUNCTION, _arguments(path, finite), limits=_limits(finite))
    except SandboxFailed as error:
        raise _uncheckable(path, error) from error
    return ModelFileInfo.from_json(outcome.value)


async def check_model_async(path: Path, *, finite: bool = False) -> ModelFileInfo:
    """As `check_model`, without blocking the event loop; cancelling kills the check."""
    try:
        outcome = await sandbox.run_async(_FUNCTION, _arguments(path, finite), limits=_limits(finite))
    except SandboxFailed as error:
        raise _uncheckable(path, error) from error
    return ModelFileInfo.from_json(outcome.value)


def inspect(path: str, *, finite: bool = False) -> dict[str, Any]:
    """The check itself, without the sandbox; the result is `ModelFileInfo.to_json`."""
    from malmoi.engine.modelfile.folder import read_folder
    from malmoi.engine.modelfile.gguf_info import read_gguf
    from malmoi.engine.modelfile.safetensors import read_safetensors

    found = Path(path)
    if found.is_dir():
        folder = read_folder(found, finite=finite)
        return ModelFileInfo(path, folder.size_bytes, folder=folder).to_json()
    if not found.exists():
        raise ModelFileInvalid(f"there is no file or folder {path}.")
    if found.suffix.lower() == ".safetensors":
        safetensors = read_safetensors(found, finite=finite)
        return ModelFileInfo(path, safetensors.size_bytes, safetensors=safetensors).to_json()
    gguf = read_gguf(found)  # anything else must be GGUF, whatever it is called
    return ModelFileInfo(path, gguf.size_bytes, gguf=gguf).to_json()


def _arguments(path: Path, finite: bool) -> dict[str, Any]:
    return {"path": str(Path(path).absolute()), "finite": finite}


def _limits(finite: bool) -> Limits:
    return _FINITE_LIMITS if finite else _HEADER_LIMITS


def _uncheckable(path: Path, error: SandboxFailed) -> ModelFileInvalid:
    return ModelFileInvalid(
        f"{path.name}: could not be checked: {error.message}", fix="The file may be hostile; do not use it."
    )
