"""The card of a model: everything about it that the rest of the house needs without opening its files."""

from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

ModelFormat: TypeAlias = Literal["gguf", "safetensors"]
ModelCapability: TypeAlias = Literal["generate", "chat", "tools", "embed"]


class ModelCard(BaseModel):
    """A model of the catalog, installed or not.

    What only the files tell (template, special tokens, context length) is filled in when the model is
    installed; before that it is what the built-in entry says, or empty.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    name: str
    """The name by which it is opened."""
    title: str
    """The name that people see."""
    description: str = ""
    """One or two sentences."""
    languages: tuple[str, ...] = ()
    """ISO 639-1 codes of the languages it is meant for."""
    license: str = ""
    """SPDX identifier, or the name of the terms."""
    source: str
    """Where it comes from, as `malmoi models add` takes it."""
    format: ModelFormat = "gguf"
    """One GGUF file, or a folder of safetensors."""
    size_bytes: int = Field(default=0, ge=0)
    """Size of its files; 0: not known yet."""
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    """Checksum of its one file; none for a folder (the manifest has one of each file)."""
    base: bool = False
    """It only continues text: it was not trained to answer."""
    capabilities: tuple[ModelCapability, ...] = ("generate",)
    """What it can do."""
    context_length: int | None = None
    """Tokens of context that it was trained for."""
    architecture: str | None = None
    """Family of its network, as the file names it."""
    parameters: int | None = None
    """Number of weights."""
    quantization: str | None = None
    """How the weights are stored, such as Q4_K_M."""
    vocab_size: int | None = None
    """Number of tokens in its vocabulary."""
    chat_template: str | None = None
    """Jinja source of the template in its files."""
    template_name: str | None = None
    """Name of one of our own templates that replaces the one in its files."""
    parser: str | None = None
    """Style of its reasoning and tool calls, where the template does not tell."""
    special_tokens: tuple[str, ...] = ()
    """Texts of its control tokens: text from people must never become one of these."""
    user_defined_tokens: tuple[str, ...] = ()
    """Texts of further tokens that are matched whole, such as <tool_call> or a run of spaces."""
    bos_token: str | None = None
    """Text of the token that begins a sequence."""
    bos_id: int | None = None
    """Its number."""
    eos_token: str | None = None
    """Text of the token that ends a sequence."""
    eos_id: int | None = None
    """Its number."""
    add_bos: bool | None = None
    """Whether its tokenizer puts the first token in front by itself; none: the file does not say."""
