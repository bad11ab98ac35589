import itertools
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from malmoi.engine.growing_text import Detokenizer, StopBuffer


def decode_bytes(ids: Sequence[int]) -> str:
    """A byte-level tokenizer."""
    return bytes(ids).decode("utf-8", "replace")


def decode_words(ids: Sequence[int]) -> str:
    """A tokenizer that drops the space of a text's first token, as SentencePiece does."""
    return "".join(f" w{token}" for token in ids).removeprefix(" ")


@given(st.text())
def test_bytes_become_whole_characters(text: str) -> None:
    growing = Detokenizer(decode_bytes)
    shown = [growing.push(byte) for byte in text.encode("utf-8", "replace")]
    assert "".join(shown) + growing.finish() == text.encode("utf-8", "replace").decode()
    assert not any("\ufffd" in part for part in shown if "\ufffd" not in text)


def test_broken_bytes_come_out_at_the_end() -> None:
    growing = Detokenizer(decode_bytes)
    assert [growing.push(byte) for byte in (0x61, 0xED, 0x95)] == ["a", "", ""]
    assert growing.finish() == "\ufffd"


def test_spaces_between_tokens_stay() -> None:
    growing = Detokenizer(decode_words, before=[7])
    assert [growing.push(token) for token in (1, 2, 3)] == [" w1", " w2", " w3"]
    assert [Detokenizer(decode_words).push(1)] == ["w1"]


def cut(text: str, stops: list[str]) -> str:
    places = [text.find(stop) for stop in stops if stop and stop in text]
    return text[: min(places)] if places else text


@given(st.text("abc", max_size=12), st.lists(st.text("abc", max_size=4), max_size=3), st.data())
def test_stops_are_found_however_the_text_is_cut(text: str, stops: list[str], data: st.DataObject) -> None:
    places = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))
    buffer = StopBuffer(stops)
    bounds = [0, *places, len(text)]
    shown = "".join(buffer.push(text[a:b]) for a, b in itertools.pairwise(bounds))
    shown += buffer.finish()
    # Cut at any place, nothing of a stop string is ever shown, and nothing before it is lost.
    first_end = min((text.find(s) + len(s) for s in stops if s and s in text), default=None)
    assert buffer.stopped == (first_end is not None)
    assert text.startswith(shown)
    assert not any(stop in shown for stop in stops if stop)
    if len(places) == 0:
        assert shown == cut(text, stops)


def test_only_what_may_become_a_stop_is_held_back() -> None:
    buffer = StopBuffer(["<end>"])
    assert buffer.push("a<en") == "a"
    assert buffer.push("x<e") == "<enx"
    assert buffer.finish() == "<e"
