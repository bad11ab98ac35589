"""Texts of documents and skills on their way to somebody else's model: material, and marked as such."""

from __future__ import annotations

from dataclasses import dataclass, field

from malmoi.assist.guard.fence import CUT, Fence, cut_orders, find_orders

_NAME = 300  # characters of a title or name


@dataclass(slots=True)
class Material:
    """The texts of one answer.

    Args:
        threshold: from this score on a line counts as an order to a model.
        cuts: whether such lines are cut out of texts, as the guard's policy may have it.
    """

    threshold: float
    cuts: bool
    fence: Fence = field(default_factory=Fence)

    @property
    def notice(self) -> str:
        """What a model is told about the marks."""
        return self.fence.instruction()

    def text(self, text: str) -> str:
        """A text between the marks of this answer; it cannot leave them."""
        if self.cuts:
            text = cut_orders(text, find_orders(text, self.threshold))
        return self.fence.around(text)

    def name(self, name: str) -> str:
        """A title or name: one line without marks; one that gives orders is not told.

        Names stand outside of the marks, where a model may take them for our own words.
        """
        line = " ".join("".join(char if char.isprintable() else " " for char in name).split())[:_NAME]
        line = line.replace("[[", "[ [").replace("]]", "] ]").replace(self.fence.nonce, "")
        return CUT if find_orders(line, self.threshold) else line
