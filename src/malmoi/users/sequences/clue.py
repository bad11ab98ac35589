"""CLUE: a user's vector from texts alone, learned by finding the same person in another service.

Every event is a text. A small transformer reads each text, another one reads a person's texts, and what a
person did in one service must lie nearer to what the same person did in another than to anybody else's
(contrast.py). Nothing depends on ids, so people and items that were never seen get vectors too.

Source: Shin et al. 2023, "Scaling Law for Recommendation Models: Towards General-purpose User
Representations", AAAI, arXiv 2111.11294, after the published description; what is ours is marked in the
modules: user_encoder.py, contrast.py, pairs.py, next_item_head.py. For ranking, a head over the frozen
features is trained on what came next in the same logs; `represent` gives the vector without any head.

B histories, M items, D numbers a vector, width d.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, ValidationError, model_validator

from malmoi.core.errors import InvalidInput, ModelFileInvalid
from malmoi.core.files import write_json
from malmoi.core.stage import NEUTRAL
from malmoi.factory.tokenizer.tokenizer import Tokenizer
from malmoi.factory.tokenizer.writing import write_tokenizer
from malmoi.factory.train.schedule import ScheduleSettings
from malmoi.users.base import FitContext, UserModelSettings
from malmoi.users.logs import History, Items, Logs, load_items, save_items
from malmoi.users.sequences.clue_features import FeatureReader, KnownTexts
from malmoi.users.sequences.clue_head import fit_head
from malmoi.users.sequences.contrast_training import Contrast, ContrastTraining
from malmoi.users.sequences.digest import digest_of
from malmoi.users.sequences.next_item_head import HeadSettings, NextItemHead
from malmoi.users.sequences.pairs import PairSource, ViewKind
from malmoi.users.sequences.training import TrainingSettings, fit
from malmoi.users.sequences.user_encoder import EncoderSettings, UserEncoder
from malmoi.users.sequences.vocabulary import build_table, number_texts, open_or_learn

_CONFIG, _ENCODER, _HEAD, _VECTORS = "clue.json", "encoder.safetensors", "head.safetensors", "items.npy"
_TOKENIZER = "tokenizer"


class CLUESettings(UserModelSettings):
    """Sizes and training of a CLUE."""

    encoder: EncoderSettings = EncoderSettings()
    """The two transformers."""
    tokenizer: str | None = None
    """A folder, a tokenizer.json or an installed model whose vocabulary is used; none: one is learned."""
    vocab_size: int = Field(4096, ge=1)
    """Tokens of a vocabulary that is learned; 384 of them are control tokens and bytes."""
    views: ViewKind = "services"
    """What is contrasted: two services, or two groups of services."""
    batch_size: int = Field(512, ge=2)
    """Users of a step at most; each is told apart from all others of the step."""
    cache_chunk: int | None = Field(None, ge=1, json_schema_extra=NEUTRAL)
    """Rows at once where the batch does not fit memory (cached gradients); none: all."""
    training: TrainingSettings = TrainingSettings(
        num_steps=1000,
        max_norm=0.1,
        # The paper's optimiser is not known. A slow start keeps all vectors from becoming alike at first.
        schedule=ScheduleSettings(kind="cosine", warmup_share=0.1, final_share=0.1),
        eps=1e-8,
    )
    """How the encoder is trained."""
    head: HeadSettings = HeadSettings()
    """How its frozen features become a ranking."""

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        if self.encoder.width % self.encoder.heads:
            raise ValueError(
                f"encoder.heads {self.encoder.heads} do not divide encoder.width {self.encoder.width}"
            )
        return self


class CLUE:
    """A fitted CLUE."""

    kind: ClassVar[str] = "clue"
    settings_type: ClassVar[type[UserModelSettings]] = CLUESettings

    def __init__(
        self,
        settings: CLUESettings,
        items: Items,
        encoder: UserEncoder,
        tokenizer: Tokenizer,
        head: NextItemHead | None,
        known: KnownTexts | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        self._settings = settings
        self._items = items
        self._encoder = encoder.eval()
        self._tokenizer = tokenizer
        self._head = head
        self._reader = FeatureReader(
            encoder, tokenizer,
            sketch=_sketch(settings), sketch_of=settings.head.sketch_of,
            reads_encoder=settings.head.encoder, known=known,
        )  # fmt: skip
        if known is None:
            self._reader.learn(items.texts)
        self.facts: Mapping[str, Any] = dict(facts or {})
        """Figures of its training: steps, floating-point operations, weights."""
        self._of_items: NDArray[np.float32] | None = None

    @property
    def items(self) -> Items:
        """What it ranks."""
        return self._items

    @property
    def size(self) -> int:
        """Length of the vectors that `encode` gives, D."""
        return self._settings.encoder.projected if self._head is None else self._settings.head.size

    @classmethod
    def fit(cls, settings: CLUESettings, logs: Logs, context: FitContext) -> Self:
        """Learn the vocabulary, the encoder by contrast, and the head on the frozen features.

        Under `torch.distributed` the ranks share each batch of the contrast; every rank needs a work folder
        of its own and gets the same model.

        Raises:
            InvalidInput: fewer than two users have two events, or no item has a text.
        """
        text_of, texts = number_texts(logs.items.texts)
        tokenizer = open_or_learn(
            settings.tokenizer, texts,
            vocab_size=settings.vocab_size, folder=context.work / _TOKENIZER,
            home=context.home, seed=context.seed, progress=context.progress,
        )  # fmt: skip
        source = PairSource(
            logs, text_of,
            batch_size=settings.batch_size, history_length=settings.encoder.history_length,
            kind=settings.views, seed=context.seed,
        )  # fmt: skip
        encoder = _build_encoder(settings, tokenizer, context.seed)
        table = build_table(tokenizer, texts, longest=settings.encoder.item_length)
        training = ContrastTraining(Contrast(encoder), table, source, chunk=settings.cache_chunk)
        of_logs = digest_of(logs)
        # Without the head: another head goes on from the same encoder.
        of_encoder = settings.model_dump(mode="json", exclude={"cache_chunk", "head"})
        of_head = settings.model_dump(mode="json", exclude={"cache_chunk"})
        trained = fit(
            training, settings.training, context,
            identity={"logs": of_logs, "clue": of_encoder}, title="Contrast",
            gradients=training.gradients if training.world_size > 1 else None,
        )  # fmt: skip
        facts = {
            "steps": trained.steps,
            "flops": _mean_flops(context) * trained.steps,
            "weights": sum(p.numel() for p in encoder.parameters()),
            "weights_of_blocks": sum(
                p.numel()
                for tower in (encoder.item_tower, encoder.service_tower)
                for p in tower.blocks.parameters()
            ),
        }
        model = cls(settings, logs.items, encoder, tokenizer, None, facts=facts)
        if settings.head.kind != "none":
            context = replace(context, work=context.work / "head")
            identity = {"logs": of_logs, "clue": of_head}
            model._head = fit_head(settings.head, model._reader, logs, context, identity)
        return model

    def score(self, histories: Sequence[History]) -> NDArray[np.float32]:
        """Inner products of `encode` and the items' vectors, (B, M)."""
        if self._of_items is None:  # made on first use: encoding alone does not need them
            self._of_items = self.encode_items(self._items.texts)
        return self.encode(histories) @ self._of_items.T

    def encode(self, histories: Sequence[History]) -> NDArray[np.float32]:
        """Vectors for ranking, (B, D): of the head, or where there is none the contrasted ones."""
        vectors, counts = self._reader.events([history.texts for history in histories])
        if self._head is None:
            return self._reader.project(self._reader.users(vectors, counts)).numpy()
        with torch.no_grad():
            return self._head.user(self._reader.user_features(vectors, counts)).float().numpy()

    def encode_items(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One vector a text, (len(texts), D); without a head, that of a history with this one event."""
        vectors = self._reader.texts(texts)
        if self._head is None:
            users = self._reader.users(vectors[:, None], torch.ones(len(vectors), dtype=torch.int64))
            return self._reader.project(users).numpy()
        with torch.no_grad():
            return self._head.item(self._reader.item_features(vectors)).float().numpy()

    def represent(self, histories: Sequence[History]) -> NDArray[np.float32]:
        """The general-purpose vectors z, (B, d), that were learned without any task: for probes."""
        return self._reader.users(*self._reader.events([history.texts for history in histories])).numpy()

    def contrast(self, histories: Sequence[History]) -> NDArray[np.float32]:
        """The vectors that training contrasts, (B, D), of length 1: two services of a user lie close."""
        users = self._reader.users(*self._reader.events([history.texts for history in histories]))
        return self._reader.project(users).numpy()

    def save(self, folder: Path) -> None:
        """Write settings, tokenizer, items with their vectors, and weights."""
        from safetensors.torch import save_file

        write_json(
            folder / _CONFIG,
            {"settings": self._settings.model_dump(mode="json"), "facts": dict(self.facts)},
        )
        write_tokenizer(self._tokenizer.backend, folder / _TOKENIZER)
        save_items(self._items, folder)
        rows = [self._reader.known.numbers[text] for text in self._items.texts]
        np.save(folder / _VECTORS, self._reader.known.vectors.numpy()[rows], allow_pickle=False)
        save_file({name: w.contiguous() for name, w in self._encoder.state_dict().items()}, folder / _ENCODER)
        if self._head is not None:
            save_file({name: w.contiguous() for name, w in self._head.state_dict().items()}, folder / _HEAD)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            ModelFileInvalid: a file is missing or broken, or they do not belong together.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            config = json.loads((folder / _CONFIG).read_bytes())
            settings = CLUESettings.model_validate(config["settings"])
            tokenizer = Tokenizer.load(folder / _TOKENIZER)
            items = load_items(folder)
            encoder = _build_encoder(settings, tokenizer, 0)
            encoder.load_state_dict(load_file(folder / _ENCODER))
            head = None
            if settings.head.kind != "none":
                head = NextItemHead(settings.head, settings.encoder.width)
                head.load_state_dict(load_file(folder / _HEAD))
                head.eval()
            vectors = torch.from_numpy(np.load(folder / _VECTORS, allow_pickle=False))
            if vectors.shape != (len(items), settings.encoder.width + _sketch(settings)):
                raise InvalidInput(f"{_VECTORS} does not fit items.parquet and {_CONFIG}")
        except (OSError, ValueError, KeyError, TypeError, ValidationError, SafetensorError, RuntimeError,
                InvalidInput) as error:  # fmt: skip
            # torch raises RuntimeError for weights of other names or shapes.
            reason = (str(error).splitlines() or ["?"])[0]
            raise ModelFileInvalid(
                f"{folder} holds no CLUE: {reason}", fix="Fit it again: malmoi users fit."
            ) from error
        known = KnownTexts({text: row for row, text in enumerate(items.texts)}, vectors)
        return cls(settings, items, encoder, tokenizer, head, known, config["facts"])


def _sketch(settings: CLUESettings) -> int:
    return 0 if settings.head.kind == "none" else settings.head.sketch


def _build_encoder(settings: CLUESettings, tokenizer: Tokenizer, seed: int) -> UserEncoder:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return UserEncoder(settings.encoder, tokenizer.vocab_size)


def _mean_flops(context: FitContext) -> float:
    """Of a step, over those that were logged; a fit that was killed has logged its first part before."""
    counted = [row["flops"] for row in context.metrics.read() if "flops" in row]
    return float(np.mean(counted)) if counted else 0.0
