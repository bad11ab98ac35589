"""LMRec: recommendation by the language model that reads what users did.

Shin et al. 2023, "Pivotal Role of Language Modeling in Recommender Systems: Enriching Task-specific and
Task-agnostic Representation Learning", ACL 2023, arXiv 2212.03760. Histories and items are text; one causal
decoder reads both, and the state at the end-of-text token is the feature of either. Users and items that were
never seen get vectors as any other, so nothing is learned anew for them.

    fit(settings, logs)                                       LMRec: L1 + lambda * L2
    objective = "rec"                                         without language modelling (the paper's -lm)
    objective = "lm", then start_from = it, objective = "rec"     pretrain, then fine-tune
    agnostic = other logs or text, specific_share = 0.7       with task-agnostic corpora
    start_from = it, train = "linears", objective = "rec"     the paper's TL: new linear layers only

B histories, M items, D numbers a vector.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError

from malmoi.core.errors import InvalidInput, ModelFileInvalid
from malmoi.core.files import write_json, write_text
from malmoi.core.stage import fingerprint
from malmoi.factory.models.build import build_model, load_model, save_model
from malmoi.factory.models.settings import model_config
from malmoi.factory.tokenizer.tokenizer import Tokenizer
from malmoi.users.base import FitContext, UserModelSettings
from malmoi.users.cases import Cases
from malmoi.users.logs import History, Items, Logs, load_items, save_items
from malmoi.users.opening import find_model
from malmoi.users.sequences.batches import hold_out_last, some_cases
from malmoi.users.sequences.digest import digest_of
from malmoi.users.sequences.lmrec_corpora import Rows, read_agnostic
from malmoi.users.sequences.lmrec_network import LMRecNetwork
from malmoi.users.sequences.lmrec_pairs import PairLoader
from malmoi.users.sequences.lmrec_settings import LMRecSettings
from malmoi.users.sequences.lmrec_texts import Renderer
from malmoi.users.sequences.lmrec_training import LinearsTraining, LMRecTraining, Reading
from malmoi.users.sequences.training import Watch, fit
from malmoi.users.sequences.vocabulary import number_texts, open_or_learn

_FACTS, _DECODER, _LINEARS, _VECTORS = "lmrec.json", "decoder", "linears.safetensors", "item_vectors.npy"
_AT_ONCE = 256
_TRANSFER_PAIRS = 50_000


class LMRec:
    """A fitted LMRec."""

    kind: ClassVar[str] = "lmrec"
    settings_type: ClassVar[type[UserModelSettings]] = LMRecSettings

    def __init__(
        self,
        settings: LMRecSettings,
        items: Items,
        tokenizer: Tokenizer,
        network: LMRecNetwork,
        vectors: NDArray[np.float32] | None = None,
    ) -> None:
        self._settings = settings
        self._items = items
        self._tokenizer = tokenizer
        self._network = network.eval()
        self._renderer = _renderer(tokenizer, settings)
        self._vectors = self.encode_items(items.texts) if vectors is None else vectors

    @property
    def items(self) -> Items:
        """What it ranks."""
        return self._items

    @property
    def size(self) -> int:
        """Length of its vectors, D."""
        return self._network.size

    @classmethod
    def fit(cls, settings: LMRecSettings, logs: Logs, context: FitContext) -> Self:
        """Learn from the logs.

        Raises:
            InvalidInput: no user has two events, or nothing has a text.
            MalmoiError: `start_from`, `tokenizer` or `agnostic` cannot be read, or a loss is not finite.
        """
        identity = {"logs": digest_of(logs), "lmrec": settings.model_dump(mode="json")}
        cases = context.validation
        if cases is None:
            logs, cases = hold_out_last(logs, share=0.1, most=settings.validation_cases, seed=context.seed)
        cases = some_cases(cases, settings.validation_cases, context.seed)
        source = _source(settings, context)
        if source is None:
            tokenizer = open_or_learn(
                settings.tokenizer,
                logs.items.texts,
                vocab_size=settings.vocab_size,
                folder=context.work / "tokenizer",
                home=context.home,
                seed=context.seed,
                progress=context.progress,
            )
            config = model_config(
                settings.model(),
                vocab_size=tokenizer.vocab_size,
                context_length=settings.length,
                eot_id=tokenizer.eot_id,
            )
            decoder = build_model(config, seed=context.seed)
        else:
            folder, found = source
            identity["start_from"] = fingerprint(folder)
            tokenizer, decoder = found._tokenizer, found._network.decoder
            _check_shape(settings, decoder)
            if found._settings.separator != settings.separator:
                raise InvalidInput(
                    f"start_from was fitted with separator = {found._settings.separator!r}.",
                    field="separator",
                    fix="Give the same.",
                )
        network = LMRecNetwork(decoder, seed=context.seed)
        training = _build_training(settings, logs, cases, tokenizer, network, context)
        watch = None if settings.objective == "lm" else Watch("loss", "lower")
        title = f"Train LMRec ({settings.objective})"
        fit(training, settings.training(), context, watch=watch, identity=identity, title=title)
        return cls(settings, logs.items, tokenizer, network)

    def score(self, histories: Sequence[History]) -> NDArray[np.float32]:
        """Products with the vectors of all items, (B, M)."""
        return self.encode(histories) @ self._vectors.T

    def encode(self, histories: Sequence[History]) -> NDArray[np.float32]:
        """W_u z_u of each history, (B, D)."""
        newest = [history.texts[-self._settings.length :] for history in histories]
        numbers, distinct = number_texts([text for texts in newest for text in texts])
        texts = self._renderer.texts(distinct)
        ends = np.cumsum([len(texts) for texts in newest])
        spans = np.split(numbers, ends[:-1]) if len(ends) else []
        return self._vectors_of([self._renderer.history(texts, rows) for rows in spans], "user")

    def encode_items(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """W_i z_i of each text, (len(texts), D)."""
        numbers, distinct = number_texts(texts)
        found = self._renderer.texts(distinct)
        rows = [self._renderer.item(found, row) for row in range(len(distinct))]
        return self._vectors_of(rows, "item")[numbers]

    def save(self, folder: Path) -> None:
        """Write settings, items with their vectors, the decoder with its tokenizer, and the linear layers."""
        from safetensors.torch import save_file

        write_json(folder / _FACTS, self._settings.model_dump(mode="json"))
        save_items(self._items, folder)
        np.save(folder / _VECTORS, self._vectors, allow_pickle=False)
        decoder = folder / _DECODER
        save_model(self._network.decoder, None, decoder)
        write_text(decoder / "tokenizer.json", self._tokenizer.backend.to_str(pretty=True) + "\n")
        end = self._tokenizer.backend.id_to_token(self._tokenizer.eot_id)
        write_json(
            decoder / "tokenizer_config.json",
            {"eos_token": end, "tokenizer_class": "PreTrainedTokenizerFast"},
        )
        linears = {"user": self._network.user.weight, "item": self._network.item.weight}
        save_file({name: weight.detach().contiguous() for name, weight in linears.items()}, folder / _LINEARS)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            ModelFileInvalid: a file is missing or broken, or they do not belong together.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            settings = LMRecSettings.model_validate(json.loads((folder / _FACTS).read_bytes()))
            items = load_items(folder)
            vectors = np.load(folder / _VECTORS, allow_pickle=False)
            linears = load_file(folder / _LINEARS)
            network = LMRecNetwork(load_model(folder / _DECODER), seed=0)
            with torch.no_grad():
                network.user.weight.copy_(linears["user"])
                network.item.weight.copy_(linears["item"])
            if vectors.shape != (len(items), network.size):
                raise ValueError(f"{_VECTORS} does not fit the items")
        except (OSError, ValueError, KeyError, ValidationError, SafetensorError, RuntimeError) as error:
            # torch raises RuntimeError for weights of other shapes.
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise ModelFileInvalid(
                f"{folder} holds no LMRec: {reason}", fix="Fit it again: malmoi users fit."
            ) from error
        return cls(settings, items, Tokenizer.load(folder / _DECODER), network, vectors)

    def _vectors_of(self, rows: Sequence[NDArray[np.int32]], side: str) -> NDArray[np.float32]:
        linear = self._network.user if side == "user" else self._network.item
        found = np.empty((len(rows), self.size), np.float32)
        with torch.no_grad():
            for start in range(0, len(rows), _AT_ONCE):
                part = rows[start : start + _AT_ONCE]
                found[start : start + len(part)] = linear(self._network.features(part)).numpy()
        return found


def _source(settings: LMRecSettings, context: FitContext) -> tuple[Path, LMRec] | None:
    """The model that a fit goes on from, and its folder."""
    if settings.start_from is None:
        return None
    path = Path(settings.start_from).expanduser()
    folder = path if path.is_dir() else find_model(context.home, settings.start_from).path
    return folder, LMRec.load(folder)


def _check_shape(settings: LMRecSettings, decoder: Any) -> None:
    names = {"hidden_size": "hidden_size", "num_layers": "num_hidden_layers"}
    for own, theirs in names.items():
        if settings.chosen(own) != getattr(decoder.config, theirs):
            raise InvalidInput(
                f"start_from has {own} {getattr(decoder.config, theirs)}, not {settings.chosen(own)}.",
                field=own,
                fix="Give the size and shape that it was fitted with.",
            )


def _renderer(tokenizer: Tokenizer, settings: LMRecSettings) -> Renderer:
    return Renderer(
        tokenizer,
        item_length=settings.item_length,
        length=settings.length,
        separator=settings.separator,
    )


def _build_training(
    settings: LMRecSettings,
    logs: Logs,
    cases: Cases,
    tokenizer: Tokenizer,
    network: LMRecNetwork,
    context: FitContext,
) -> LMRecTraining:
    renderer = _renderer(tokenizer, settings)
    reading = Reading(renderer, logs, renderer.texts(logs.items.texts))
    agnostic = None
    if settings.agnostic is not None and settings.objective != "rec":
        agnostic = read_agnostic(settings.agnostic, renderer, logs, context.home)
    rows = Rows(
        renderer.log_stream(reading.texts, logs),
        agnostic,
        specific_share=settings.specific_share,
        size=settings.lm_batch_size,
        length=settings.length,
        seed=context.seed,
    )
    frozen = settings.train == "linears"
    pairs = PairLoader(
        logs,
        size=settings.chosen("batch_size"),
        negatives=settings.negatives,
        seed=context.seed,
        most=_TRANSFER_PAIRS if frozen else None,
        stretch=settings.length if settings.separator == "end" and not frozen else None,
    )
    if not frozen:
        return LMRecTraining(network, settings, reading, rows, pairs, cases, context.seed)
    network.decoder.requires_grad_(False)
    network.eval()
    training = LinearsTraining(network, settings, reading, rows, pairs, cases, context.seed)
    training.prepare(context.progress)
    return training
