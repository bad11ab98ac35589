"""What a pretraining stage can be told."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from malmoi.core.stage import NEUTRAL, StageConfig
from malmoi.factory.corpus.fim import FimSettings
from malmoi.factory.models.settings import ModelSettings
from malmoi.factory.train.energy import EnergySettings
from malmoi.factory.train.extension import ExtensionSettings
from malmoi.factory.train.schedule import ScheduleSettings


class OptimSettings(BaseModel):
    """How weights are updated; rates that are not given come from the model's dial."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    optimizer: Literal["muon", "adamw"] = "muon"
    """muon: Muon for hidden matrices, AdamW for the rest; adamw: AdamW for everything."""
    learning_rate: float | None = Field(default=None, gt=0.0)
    """AdamW's rate, at the width that muP is based on."""
    muon_learning_rate: float | None = Field(default=None, gt=0.0)
    """Muon's rate, for every width."""
    weight_decay: float | None = Field(default=None, ge=0.0)
    """Decoupled decay of matrices; norms have none."""
    betas: tuple[float, float] = (0.9, 0.95)
    """AdamW's decay of the mean and of the mean square of gradients."""
    eps: float = Field(default=1e-10, gt=0.0)
    """AdamW's floor under the root of the mean square."""
    momentum: float = Field(default=0.95, ge=0.0, lt=1.0)
    """Muon's momentum."""
    newton_schulz_steps: int = Field(default=5, ge=1, le=20)
    """Steps of Muon's iteration."""
    newton_schulz_precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Type of the products in Muon's iteration; auto: that of the run's other products."""
    max_norm: float = Field(default=1.0, ge=0.0)
    """Gradients of a larger global norm are scaled down to it; 0: never."""


class PretrainSettings(StageConfig):
    """Pretraining from scratch, or from a model that is there already.

    What is left out of batch, length and rates follows from the model's depth. Where training goes on from
    another model there is no such dial: then give batch_tokens, num_steps or num_tokens, and the rates in
    `optim`.
    """

    model: ModelSettings = ModelSettings()
    """The model to build."""
    init: str | None = None
    """Begin from this model instead: a folder, a GGUF file, or the name of an installed model."""
    optim: OptimSettings = OptimSettings()
    """Optimizer and learning rates."""
    schedule: ScheduleSettings = ScheduleSettings()
    """How the learning rate goes over the run."""

    context_length: int = Field(512, ge=2)
    """Tokens of a sequence."""
    extension: ExtensionSettings | None = None
    """A last part at a longer context."""
    batch_tokens: int | None = Field(None, ge=1)
    """Tokens of an optimizer step, over all ranks."""
    num_steps: int | None = Field(None, ge=1)
    """Optimizer steps."""
    num_tokens: int | None = Field(None, ge=1)
    """Tokens to train on, where num_steps is not given."""
    num_bytes: int | None = Field(None, ge=1)
    """Bytes of text to train on, where neither num_steps nor num_tokens is given: the same text whatever the
    tokenizer."""
    micro_batch_tokens: int = Field(8192, ge=1)
    """Tokens that go through the model at once on one rank; memory grows with it, and by rounding alone the
    result depends on it."""

    weights: dict[str, float] | None = None
    """Share of each source; the corpus's own where not given."""
    fim: FimSettings | None = None
    """Filling in the middle; none where not given."""
    document_mask: bool = False
    """Keep attention within documents."""

    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Of the products; auto: bfloat16 where the processor has it."""
    z_loss: float = Field(0.0, ge=0.0)
    """Weight of the squared log of the softmax's sum, which keeps logits small."""
    quick_blocks: bool = True
    """Run the model's blocks by a quicker forward than transformers', where there is one."""
    checkpoint_activations: bool = False
    """Compute activations again in backward instead of keeping them."""
    compile: bool = False
    """torch.compile the blocks' own forward instead of the quicker one; it needs a C++ compiler."""
    skip_bad_steps: int = Field(0, ge=0)
    """Steps that may be left out because their loss or gradient is not finite."""

    evaluate_bytes: int = Field(200_000, ge=1)
    """Held-out text of each source in an evaluation, in bytes."""
    evaluate_every: int | None = Field(None, ge=1, json_schema_extra=NEUTRAL)
    """Steps between two evaluations; there is one at the end in any case."""
    prompts: tuple[str, ...] = Field((), json_schema_extra=NEUTRAL)
    """Beginnings of texts that the model continues, to see how it comes on."""
    sample_every: int | None = Field(None, ge=1, json_schema_extra=NEUTRAL)
    """Steps between two sets of samples."""
    sample_tokens: int = Field(32, ge=1, json_schema_extra=NEUTRAL)
    """Length of a sample."""
    save_every: int = Field(100, ge=1, json_schema_extra=NEUTRAL)
    """Steps between two checkpoints."""
    keep: int = Field(2, ge=1, json_schema_extra=NEUTRAL)
    """Checkpoints to keep."""
    energy: EnergySettings = Field(EnergySettings(), json_schema_extra=NEUTRAL)
    """Assumptions of the energy estimate."""

    @model_validator(mode="after")
    def _is_clear(self) -> "PretrainSettings":
        if self.init is not None and self.model != ModelSettings():
            raise ValueError("init brings its own model; remove the settings under model")
        return self
