r"""How an item and its label are put into words, for both directions of inference.

    direct:   QUESTION joiner PREFIX label        log P(label | demonstrations, question)
    channel:  PREFIX label \n QUESTION             log P(question | demonstrations, label)

The noisy channel is that of Min et al., "Noisy Channel Language Model Prompting for Few-Shot Text
Classification" (ACL 2022, arXiv 2108.04106). Contextual calibration divides by what the model says of a
content-free question, "N/A" (Zhao et al., "Calibrate Before Use", ICML 2021, arXiv 2102.09690).
"""

from collections.abc import Sequence
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

Method: TypeAlias = Literal["direct", "channel"]
Pair: TypeAlias = tuple[str, str]
"""A context and its continuation."""

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Wording(BaseModel):
    """A template of a dataset."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
    question: str
    """Jinja template over a row: all that stands before the label."""
    label_prefix: str = ""
    """What names the label, such as "감정:"; a space follows."""
    joiner: str = "\n"
    """Between question and label in the direct direction."""
    content_free: str = "N/A"
    """The question with nothing in it."""
    separator: str = "\n\n"
    """Between demonstrations."""


def build_pair(
    wording: Wording,
    method: Method,
    shots: Sequence[tuple[str, str]],
    question: str,
    label: str,
) -> Pair:
    """The context and continuation whose log-probability scores `label`.

    Args:
        wording: the template.
        method: the direction.
        shots: question and label of each demonstration.
        question: of the item, rendered; or the content-free one.
        label: one of its labels.
    """
    prefix = f"{wording.label_prefix} " if wording.label_prefix else ""
    if method == "direct":
        solved = [f"{asked}{wording.joiner}{prefix}{given}" for asked, given in shots]
        lead = f"{wording.joiner}{wording.label_prefix}" if wording.label_prefix else ""
        continuation = f" {label}" if wording.label_prefix else f"{wording.joiner}{label}"
        return wording.separator.join([*solved, f"{question}{lead}"]), continuation
    solved = [f"{prefix}{given}\n{asked}" for asked, given in shots]
    return wording.separator.join([*solved, f"{prefix}{label}"]), f"\n{question}"
