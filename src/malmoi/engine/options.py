"""How to run a model on this machine."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class EngineOptions(BaseModel):
    """Options of an engine; what an engine has no use for, it ignores."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    threads: int | None = Field(None, ge=1)
    """Threads to compute with; none: measured at the start, up to the cores this process may use."""
    slots: int = Field(4, ge=1, le=64)
    """Requests that run at the same time."""
    context_length: int | None = Field(None, ge=64)
    """Tokens of context a request may have; none: the model's own, at most 8192."""
    prompt_cache_mb: int = Field(512, ge=0)
    """Memory for the keys and values of past prompts, in MiB; 0 turns it off."""
    adapters: dict[str, Path] = Field(default_factory=dict)
    """LoRA adapters to load: name -> GGUF file."""
    embeddings: bool = False
    """Serve embeddings of this model instead of text."""
    api_key: SecretStr | None = None
    """Key for a remote engine."""
    timeout: float = Field(600.0, gt=0)
    """Seconds without a sign of life after which a remote engine counts as lost."""
    torch: bool = False
    """Run local files with torch instead of llama.cpp: slower, but its scores are exact."""
