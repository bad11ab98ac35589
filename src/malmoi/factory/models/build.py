"""Building, loading and saving models: transformers' classes, our initialisation."""

from pathlib import Path
from typing import Any

from malmoi.core.errors import ModelFileInvalid
from malmoi.factory.models.export import export_folder
from malmoi.factory.models.mup import initialise


def build_model(config: Any, *, seed: int) -> Any:
    """A new model in float32 with SDPA attention, in training mode.

    The weights are a pure function of the configuration and the seed: neither the number of threads nor the
    state of torch's generator changes them.

    Args:
        config: from `settings.model_config`.
        seed: any whole number.
    """
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.initialization import no_init_weights

    with no_init_weights():
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation="sdpa")
    model.tie_weights()
    initialise(model, seed=seed)
    return model.train()


def load_model(folder: Path) -> Any:
    """The model of a Hugging Face folder, in float32, in evaluation mode.

    Raises:
        ModelFileInvalid: the folder holds no model, or not all of its weights.
    """
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils.logging import disable_progress_bar

    if not (folder / "config.json").is_file():
        raise ModelFileInvalid(
            f"{folder} is not a model: it has no config.json.", fix="Name a folder in transformers' format."
        )
    disable_progress_bar()
    try:
        model, report = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            attn_implementation="sdpa",
            output_loading_info=True,
        )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        # transformers raises any of these for files that it does not understand.
        reason = (str(error).splitlines() or [type(error).__name__])[0][:300]
        raise ModelFileInvalid(f"{folder}: transformers cannot load it: {reason}") from error
    absent = sorted(report["missing_keys"]) + sorted(map(str, report["mismatched_keys"]))
    if absent:
        # transformers fills them with random numbers and only writes a line to the log.
        raise ModelFileInvalid(
            f"{folder}: {len(absent)} weights are missing or have a wrong shape, such as {absent[0]}.",
            fix="Save the model again.",
        )
    return model.eval()


def save_model(model: Any, tokenizer_files: Path | None, out: Path) -> None:
    """Write a folder that transformers loads, with the tokenizer's files where there are some."""
    export_folder(model, tokenizer_files, out)
