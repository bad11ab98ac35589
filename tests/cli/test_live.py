import io
import sys
from collections.abc import Callable

import pytest

from malmoi.cli import live
from malmoi.cli.live import duration, number, open_progress, printable


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(live, "monotonic", found)
    return found


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture
def open_terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Terminal]:
    """Makes stderr a terminal; called inside the test, because capturing sets stderr just before it."""
    pytest.importorskip("rich", reason="the terminal display needs rich")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)

    def opened() -> Terminal:
        stream = Terminal()
        monkeypatch.setattr(sys, "stderr", stream)
        return stream

    return opened


def test_lines_come_every_few_seconds_with_speed_and_time_left(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_progress() as progress, progress.task("말모이 학습", total=100, unit="steps") as task:
        for _ in range(60):
            clock.now += 0.2
            task.advance(1, loss=2.3456789)

    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "말모이 학습 ...",
        "말모이 학습: 25 %  25/100 steps  15 s left  loss 2.346  5 steps/s",
        "말모이 학습: 50 %  50/100 steps  10 s left  loss 2.346  5 steps/s",
        "말모이 학습: done in 12 s  60 steps  5 steps/s  loss 2.346",
    ]


def test_work_of_unknown_length_is_counted(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with open_progress() as progress, progress.task("Filter", unit="docs") as task:
        for _ in range(6000):
            clock.now += 0.001
            task.advance()

    assert capsys.readouterr().err.splitlines()[1] == "Filter: 5,000 docs  1,000 docs/s"


def test_what_was_done_before_is_no_speed(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with open_progress() as progress, progress.task("Train", total=1000) as task:
        task.at(400)  # a run that goes on from its checkpoint
        clock.now += 10
        task.at(500, mfu="45 %")

    assert capsys.readouterr().err.splitlines()[1:] == [
        "Train: 50 %  500/1,000  50 s left  mfu 45 %  10/s",
        "Train: done in 10 s  500  10/s  mfu 45 %",
    ]


def test_a_task_that_fails_says_so_and_lets_the_error_through(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError), open_progress() as progress, progress.task("Train"):
        raise ZeroDivisionError

    assert "Train: stopped after" in capsys.readouterr().err


def test_quiet_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with open_progress(quiet=True) as progress, progress.task("Train", total=3) as task:
        task.advance(3)
        progress.note("a note")

    assert capsys.readouterr() == ("", "")


def test_notes_are_lines_without_what_steers_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with open_progress() as progress:
        progress.note("샘플\x1b[2J\x07 [bold]글\u202e")

    assert capsys.readouterr().err == "샘플�[2J� [bold]글�\n"


def test_a_terminal_has_a_bar_and_keeps_what_is_finished(open_terminal: Callable[[], Terminal]) -> None:
    terminal = open_terminal()
    with open_progress() as progress:
        with progress.task("말모이 [red]학습", total=4, unit="steps") as task:
            task.at(2, loss=1.5)
            progress.note("sample [bold]글\x1b[2J")
        with progress.task("Write") as task:
            task.advance(3)

    shown = terminal.getvalue()
    assert "━" in shown
    assert "sample [bold]글�[2J" in shown
    assert "말모이 [red]학습: done in" in shown
    assert shown.index("Write: done in") > shown.index("말모이 [red]학습: done in")
    assert shown.rstrip().endswith("\x1b[?25h"), "the cursor is there again"


def test_an_error_gives_the_terminal_back(open_terminal: Callable[[], Terminal]) -> None:
    terminal = open_terminal()
    with pytest.raises(KeyboardInterrupt), open_progress() as progress, progress.task("Train", total=3):
        raise KeyboardInterrupt

    assert "Train: stopped after" in terminal.getvalue()
    assert terminal.getvalue().rstrip().endswith("\x1b[?25h")


def test_without_rich_a_terminal_gets_lines(
    open_terminal: Callable[[], Terminal], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = open_terminal()
    monkeypatch.setitem(sys.modules, "rich.console", None)
    with open_progress() as progress, progress.task("Train", total=1) as task:
        task.advance()

    assert terminal.getvalue().startswith("Train ...\nTrain: done in")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (12, "12"),
        (12345.6, "12,346"),
        (2.3456, "2.346"),
        (2.5, "2.5"),
        (0.00012345, "0.000123"),
        (float("nan"), "nan"),
        ("45 %", "45 %"),
    ],
)
def test_figures_are_short(value: float | str, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.42, "0.4 s"), (45.2, "45 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_durations_are_read_easily(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_emoji_and_wide_text_stay() -> None:
    assert printable("가나\t👩‍🌾\n") == "가나\t👩‍🌾\n"
