"""Find markers in text that arrives in pieces."""

from collections.abc import Collection
from dataclasses import dataclass


def begun_at_end(text: str, markers: Collection[str]) -> int:
    """How many characters at the end of `text` begin a marker, at most; whole markers do not count."""
    place = max(0, len(text) - max(map(len, markers), default=1) + 1)
    firsts = {marker[0] for marker in markers}
    for at in range(place, len(text)):
        if text[at] in firsts:
            rest = text[at:]
            if any(len(rest) < len(marker) and marker.startswith(rest) for marker in markers):
                return len(rest)
    return 0


@dataclass(frozen=True, slots=True)
class StopState:
    """How far the text is searched for stop markers."""

    held: str = ""
    stopped: bool = False


def cut_at_stop(state: StopState, text: str, stops: tuple[str, ...]) -> tuple[StopState, str]:
    """The part of `text` (and of what was held) before the first stop marker; after it, nothing more."""
    if state.stopped or not stops:
        return state, "" if state.stopped else text
    window = state.held + text
    ends = [place for place in (window.find(stop) for stop in stops) if place >= 0]
    if ends:
        return StopState(stopped=True), window[: min(ends)]
    size = begun_at_end(window, stops)
    return StopState(held=window[len(window) - size :]), window[: len(window) - size]
