"""Settings of LMRec, and the sizes of the paper's appendix (Shin et al. 2023, arXiv 2212.03760)."""

from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from malmoi.factory.models.settings import ModelSettings
from malmoi.factory.train.precision import PrecisionName
from malmoi.factory.train.schedule import ScheduleSettings
from malmoi.users.base import UserModelSettings
from malmoi.users.sequences.training import TrainingSettings


@dataclass(frozen=True, slots=True)
class Size:
    """One row of the paper's table. The names count the parameters with its vocabulary of 50,258."""

    num_layers: int
    hidden_size: int
    num_heads: int
    intermediate_size: int
    rec_weight: float
    batch_size: int
    learning_rate: float
    weight_decay: float


SizeName = Literal["1.7M", "7M", "20M", "64M", "125M", "210M"]
SIZES: dict[SizeName, Size] = {
    "1.7M": Size(4, 32, 4, 128, 1e-2, 256, 5e-3, 1e-2),
    "7M": Size(4, 128, 4, 512, 1e-2, 512, 2e-3, 1e-2),
    "20M": Size(8, 256, 8, 1024, 8e-3, 1024, 1e-3, 5e-2),
    "64M": Size(12, 512, 8, 2048, 8e-3, 1024, 8e-4, 1e-1),
    "125M": Size(12, 768, 12, 2048, 3e-3, 1024, 2e-4, 1e-1),
    "210M": Size(24, 768, 16, 2048, 3e-3, 1024, 2e-4, 1e-1),
}


class LMRecSettings(UserModelSettings):
    """What an LMRec is and how it is trained; what is None follows from `size`."""

    size: SizeName = "1.7M"
    """A row of the paper's table: shape, rec_weight, batch_size, learning_rate and weight_decay."""
    hidden_size: int | None = Field(None, ge=8)
    """Width of the decoder, and length of the vectors."""
    num_layers: int | None = Field(None, ge=1)
    """Blocks of the decoder."""
    num_heads: int | None = Field(None, ge=1)
    """Attention heads of a block."""
    intermediate_size: int | None = Field(None, ge=8)
    """Width inside a block's feed-forward layer."""
    tokenizer: str | None = None
    """A folder, tokenizer.json or installed model; None: one is learned from the items' texts."""
    vocab_size: int = Field(8192, ge=448)
    """Tokens of a tokenizer that is learned; fewer where the texts do not fill it."""
    separator: Literal["token", "end"] = "token"
    """What stands between the texts of a history. token: a token of its own, and EOS at the end alone, as in
    the paper; end: EOS itself (ours), so that one pass over a history of n events gives n features and pairs
    instead of one, which is what makes training on a processor practical."""
    length: int = Field(256, ge=8, le=2048)
    """Tokens of a history that are read, the newest whole items, and of a row of the language model."""
    item_length: int = Field(32, ge=1)
    """Tokens of an item's text that are read, the first."""
    objective: Literal["joint", "rec", "lm"] = "joint"
    """joint: L1 + rec_weight * L2 (LMRec); rec: L2 alone (the paper's LMRec without language modelling);
    lm: L1 alone, to be fine-tuned later."""
    train: Literal["all", "linears"] = "all"
    """linears: freeze the decoder of `start_from` and learn new linear layers (the paper's TL)."""
    start_from: str | None = None
    """A fitted LMRec to go on from: an artifact of kind users, or a folder; its decoder and tokenizer are
    taken."""
    agnostic: str | None = None
    """More text for L1: a folder of logs, a text file with a document a line, or an artifact of kind logs or
    corpus. Events of services that the task's logs have are left out of it."""
    specific_share: float = Field(1.0, ge=0, le=1)
    """With `agnostic`: share of the language model's rows that come from the task's own logs."""
    rec_weight: float | None = Field(None, ge=0)
    """Lambda, the weight at the start of L2, summed over the batch's pairs; it falls with half a cosine to a
    tenth. Where the recommendation stays at a loss of 1.39, that of a coin, raise it."""
    negatives: int = Field(256, ge=1)
    """Items drawn at random each step as negatives of all its users."""
    batch_size: int | None = Field(None, ge=1)
    """Histories in a step: each gives a pair of itself and the item after it; with separator = "end", of each
    of its beginnings and the item after that."""
    lm_batch_size: int = Field(32, ge=1)
    """Rows of `length` tokens of the language model in a step."""
    num_steps: int = Field(2000, ge=1)
    """Steps at most."""
    learning_rate: float | None = Field(None, gt=0)
    """Of AdamW, at its highest."""
    weight_decay: float | None = Field(None, ge=0)
    """Of AdamW, on matrices."""
    max_norm: float = Field(0.1, ge=0)
    """Gradients longer than this are shortened to it."""
    validate_every: int = Field(20, ge=1)
    """Steps between two looks at the validation loss."""
    patience: int | None = Field(100, ge=1)
    """Stop when so many steps have brought no lower validation loss of the recommendation; None: never."""
    validation_cases: int = Field(500, ge=1)
    """Validation cases that are looked at."""
    precision: PrecisionName = "auto"
    """Of the products in training."""

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.item_length >= self.length:
            raise ValueError(f"item_length {self.item_length} must be below length {self.length}")
        if self.train == "linears" and (self.start_from is None or self.objective != "rec"):
            raise ValueError('train = "linears" needs start_from, and objective = "rec"')
        return self

    def chosen(self, name: str) -> Any:
        """A setting, from the size's row where it is None."""
        value = getattr(self, name)
        return getattr(SIZES[self.size], name) if value is None else value

    def model(self) -> ModelSettings:
        """The platform's decoder of this shape."""
        return ModelSettings(
            depth=None,
            hidden_size=self.chosen("hidden_size"),
            num_hidden_layers=self.chosen("num_layers"),
            num_attention_heads=self.chosen("num_heads"),
            num_key_value_heads=self.chosen("num_heads"),
            intermediate_size=self.chosen("intermediate_size"),
        )

    def training(self) -> TrainingSettings:
        """The loop's settings: the paper's optimizer and schedule."""
        return TrainingSettings(
            num_steps=self.num_steps,
            learning_rate=self.chosen("learning_rate"),
            weight_decay=self.chosen("weight_decay"),
            betas=(0.9, 0.98),
            eps=1e-6,
            max_norm=self.max_norm,
            schedule=ScheduleSettings(kind="cosine", warmup_share=0.01, final_share=0.1),
            precision=self.precision,
            validate_every=self.validate_every,
            # A language model alone has no loss of the recommendation to stop by.
            patience=None if self.objective == "lm" else self.patience,
        )
