"""A classifier on disk: classifier.json says what it is, classifier.safetensors has its numbers. No pickle.

classifier.json          features; questions: labels, operating points, sources, licences, figures
classifier.safetensors   buckets (F,) U32 ascending; idf (F,) F32; of each question `NAME/...`:
    ngrams (F, L) F16, ngrams_bias (L,) F32                  the linear model on n-grams
    encoder (D, L) F16, encoder_bias (L,) F32                the linear model on the sentence encoder
    mix (M, L) F32, shift (L,) F32                           calibration: weights of the members' logits
    light_mix (1, L) F32, light_shift (L,) F32               that of the n-grams alone, where there is a gate

F buckets, D numbers of the encoder, L labels, M members.
"""

import json
import re
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from malmoi.core.errors import InvalidInput, NotFound
from malmoi.core.files import write_bytes, write_text
from malmoi.engine.classify.base import LabelGroup, OperatingPoint
from malmoi.engine.classify.tensors import pack_tensors, read_tensors

FORMAT = 1
ABOUT = "classifier.json"
WEIGHTS = "classifier.safetensors"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_MOST_JSON = 16 << 20

Tensors = dict[str, NDArray[Any]]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class NgramSettings(_Part):
    """Which n-grams the linear models read (ngrams.py)."""

    bits: int = Field(22, ge=8, le=32)
    """Of a bucket."""
    surface_orders: tuple[int, ...] = (1, 2, 3, 4)
    """Lengths of n-grams of characters."""
    jamo_orders: tuple[int, ...] = (3, 4, 5, 6)
    """Lengths of n-grams of Hangul letters."""
    words: bool = True
    """Whether words and pairs of words count."""


class PointFile(_Part):
    """An operating point (base.py)."""

    name: str
    flagged: tuple[str, ...]
    threshold: float = Field(ge=0, le=1)
    precision: float | None
    recall: float
    false_positive_rate: float


class GateFile(_Part):
    """When a question asks the sentence encoder: where n-grams alone do not find a text clearly harmless."""

    bound: float = Field(ge=0, le=1)
    """The risk by n-grams alone from which on it asks."""
    skipped: float = Field(ge=0, le=1)
    """Share of the question's own texts, out of fold, that do without the encoder."""
    lost: dict[str, float]
    """Recall that this costs at each operating point, and macro-F1, out of fold."""


class SourceFile(_Part):
    """Where training texts came from."""

    title: str
    license: str
    source: str
    files: dict[str, str]
    """Path under the data folder -> sha256."""
    texts: int
    """That were used for training."""


class QuestionFile(_Part):
    """One question: its labels and how well they are told apart."""

    name: str
    title: str
    labels: tuple[str, ...] = Field(min_length=2)
    harmless: str | None
    decision: tuple[float, ...]
    """A factor of each label's probability where one label is to be chosen."""
    members: tuple[Literal["ngrams", "encoder"], ...] = Field(min_length=1)
    """Rows of `mix`."""
    gate: GateFile | None = None
    """When the encoder is asked; None: always, if a member needs it."""
    context: bool = False
    """Whether the context is read too."""
    points: tuple[PointFile, ...] = ()
    sources: tuple[SourceFile, ...] = ()
    metrics: dict[str, Any] = {}
    """On texts held out of training."""


class ClassifierFile(_Part):
    """classifier.json."""

    format: Literal[1] = 1
    name: str
    version: str
    """Of Malmoi."""
    seed: int
    ngrams: NgramSettings
    questions: tuple[QuestionFile, ...] = Field(min_length=1)

    def groups(self) -> tuple[LabelGroup, ...]:
        """The questions as those who use a classifier know them."""
        return tuple(
            LabelGroup(
                question.name,
                question.labels,
                question.harmless,
                tuple(OperatingPoint(**point.model_dump()) for point in question.points),
                question.decision,
            )
            for question in self.questions
        )


def write_classifier(folder: Path, about: ClassifierFile, tensors: Tensors) -> None:
    """Write both files; the same classifier gives the same bytes.

    Raises:
        DiskFull: there is no room.
    """
    write_bytes(folder / WEIGHTS, pack_tensors(tensors))
    text = json.dumps(about.model_dump(mode="json"), ensure_ascii=False, indent=1, sort_keys=True)
    write_text(folder / ABOUT, text + "\n")


def read_about(folder: Path) -> ClassifierFile:
    """Read classifier.json alone.

    Raises:
        NotFound: it is not there.
        InvalidInput: it is not what it should be; the message names the field.
    """
    path = folder / ABOUT
    try:
        raw = path.read_bytes() if path.stat().st_size <= _MOST_JSON else b""
        about = ClassifierFile.model_validate_json(raw)
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound(
            f"{folder} holds no classifier: there is no {ABOUT}.", fix="Train one: malmoi safety train."
        ) from None
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}.") from error
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in fault["loc"]) or "the file"
        raise _damaged(path, f"{where}: {fault['msg']}") from None
    names = [question.name for question in about.questions]
    labels = [label for question in about.questions for label in question.labels]
    for question in about.questions:
        if not _NAME.fullmatch(question.name) or question.harmless not in (None, *question.labels):
            raise _damaged(path, f"the question {question.name!r} has no proper name or harmless label")
        if len(question.decision) != len(question.labels):
            raise _damaged(path, f"the question {question.name} has not one decision for each label")
        if question.gate and ("ngrams" not in question.members or question.harmless is None):
            raise _damaged(path, f"the question {question.name} has a gate, but nothing to open it")
        for point in question.points:
            if not set(point.flagged) <= set(question.labels):
                raise _damaged(path, f"the operating point {point.name} names labels that are not there")
    for kind, found in (("question", names), ("label", labels)):
        if len(set(found)) < len(found):
            raise _damaged(path, f"a {kind} comes twice")
    return about


def read_classifier(folder: Path) -> tuple[ClassifierFile, Tensors]:
    """Read both files and see that they fit each other.

    Raises:
        NotFound: there is no classifier.
        InvalidInput: classifier.json is damaged, or does not fit the numbers.
        ModelFileInvalid: classifier.safetensors is damaged.
    """
    about = read_about(folder)
    path = folder / WEIGHTS
    tensors = read_tensors(path)
    shapes = {name: array.shape for name, array in tensors.items()}
    for name, expected in _expected(about, shapes).items():
        if shapes.get(name) != expected:
            raise _damaged(path, f"{name} has the shape {shapes.get(name)}, not {expected}")
    if "buckets" in tensors:
        buckets = tensors["buckets"]
        if buckets.dtype != np.uint32 or (buckets.size > 1 and not (buckets[1:] > buckets[:-1]).all()):
            raise _damaged(path, "its buckets are not in ascending order")
    return about, tensors


def _expected(about: ClassifierFile, shapes: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """The shapes that tensors must have."""
    from malmoi.engine.classify.encoder import SIZE

    wanted: dict[str, tuple[int, ...]] = {}
    count = (shapes.get("buckets") or (0,))[0]
    for question in about.questions:
        name, labels = question.name, len(question.labels)
        wanted |= {f"{name}/mix": (len(question.members), labels), f"{name}/shift": (labels,)}
        if question.gate is not None:
            wanted |= {f"{name}/light_mix": (1, labels), f"{name}/light_shift": (labels,)}
        if "ngrams" in question.members:
            wanted |= {"buckets": (count,), "idf": (count,)}
            wanted |= {f"{name}/ngrams": (count, labels), f"{name}/ngrams_bias": (labels,)}
        size = SIZE * (3 if question.context else 1)
        if "encoder" in question.members:
            wanted |= {f"{name}/encoder": (size, labels), f"{name}/encoder_bias": (labels,)}
    return wanted


def _damaged(path: Path, fault: str) -> InvalidInput:
    return InvalidInput(f"{path}: {fault}.", fix="Train the classifier again.")
