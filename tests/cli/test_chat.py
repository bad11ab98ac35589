import fcntl
import io
import os
import pty
import signal
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from malmoi.cli import main

SCRIPT = """
[[rules]]
contains = "서울"
reply = "옛 이름은 한양입니다."
[[rules]]
contains = "think"
reasoning = "hmm"
reply = "done"
[[rules]]
contains = "slow"
reply = "one two three four five six seven eight"
hold_after = 2
"""


@pytest.fixture
def script(tmp_path: Path) -> str:
    path = tmp_path / "script.toml"
    path.write_text(SCRIPT)
    return f"scripted:{path}"


def run(args: list[str], monkeypatch: pytest.MonkeyPatch, stdin: str = "") -> int:
    monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
    with pytest.raises(SystemExit) as ended:
        main(["chat", *args])
    return int(ended.value.code or 0)


def test_one_question(
    script: str, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["서울의 옛 이름은?", "--model", script, "--home", str(home)], monkeypatch) == 0
    assert capsys.readouterr().out == "옛 이름은 한양입니다.\n"


def test_piped_text_joins_the_question(
    script: str, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["옛 이름은?", "--model", script, "--home", str(home)], monkeypatch, stdin="서울\n") == 0
    assert "한양" in capsys.readouterr().out


def test_reasoning_stays_out_of_the_output(
    script: str, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["think", "--model", script, "--home", str(home)], monkeypatch) == 0
    shown = capsys.readouterr()
    assert shown.out == "done\n"
    assert "hmm" in shown.err


@pytest.mark.parametrize(
    ("model", "part"),
    [("standrad", "standard"), ("scriptd:x", "scripted"), ("path:/nowhere.gguf", "/nowhere")],
)
def test_a_wrong_model_is_a_sentence(
    model: str, part: str, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["hi", "--model", model, "--home", str(home)], monkeypatch) == 1
    shown = capsys.readouterr().err
    assert part in shown
    assert "Traceback" not in shown


class Terminal:
    """`malmoi chat` on a terminal of its own."""

    def __init__(self, args: list[str]) -> None:
        self.main, worker = pty.openpty()

        def prepare() -> None:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
            # A test run in the background inherits that Ctrl+C is ignored; a person's terminal does not.
            signal.signal(signal.SIGINT, signal.SIG_DFL)

        self.process = subprocess.Popen(
            [sys.executable, "-m", "malmoi", "chat", *args],
            stdin=worker,
            stdout=worker,
            stderr=worker,
            env={**os.environ, "TERM": "dumb", "PYTHONUNBUFFERED": "1"},
            start_new_session=True,
            preexec_fn=prepare,
        )
        os.close(worker)
        self.seen = b""
        self._unread = b""

    def until(self, text: str) -> str:
        """Read on until `text` comes; what follows it is left for the next call."""
        while text.encode() not in self._unread:
            data = os.read(self.main, 4096)
            self.seen += data
            self._unread += data
        found, mark, self._unread = self._unread.partition(text.encode())
        return (found + mark).decode()

    def type(self, text: str) -> None:
        os.write(self.main, text.encode())


def test_a_conversation_on_a_terminal(script: str, home: Path, tmp_path: Path) -> None:
    terminal = Terminal(["--model", script, "--home", str(home)])
    try:
        terminal.until("> ")
        terminal.type("서울의 옛 이름은?\n")
        assert "한양" in terminal.until("tokens,")
        terminal.until("> ")
        terminal.type("slow\n")
        terminal.until("one two")
        terminal.type("\x03")
        terminal.until("[stopped]")
        terminal.until("> ")
        terminal.type("/undo\n")
        terminal.until("Taken back.")
        terminal.type("/nonsense\n")
        terminal.until("There is no /nonsense")
        terminal.type(f"/save {tmp_path / 'talk.md'}\n")
        terminal.until("Written to")
        terminal.type("/quit\n")
        assert terminal.process.wait(20) == 0
    finally:
        terminal.process.kill()
        terminal.process.wait()
        os.close(terminal.main)
    saved = (tmp_path / "talk.md").read_text()
    assert "## You\n\n서울의 옛 이름은?" in saved
    assert "한양" in saved
    assert "slow" not in saved
    assert "Traceback" not in terminal.seen.decode()
