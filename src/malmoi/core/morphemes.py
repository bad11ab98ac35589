"""Korean morphemes, found by Kiwi in a child process that lives only while it is needed.

Kiwi's model takes 260 MB (520 MB with all its dictionaries), which a server must not carry for ever. So it
runs in `python -m malmoi.core.morphemes`: JSON lines on standard input and output, started at the first use,
ended when it has been idle, and started again when it died. The child ends by itself when its input closes,
so it cannot outlive the program that started it.

Kiwi (`kiwipiepy`) is optional. Without it, or when the child keeps failing, there are no morphemes: callers
search by the bigrams of `core.hangul` alone, and a warning says so once.
"""

import asyncio
import contextlib
import json
import logging
import os
import sys
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from typing import Any, Protocol

from malmoi.core.hangul import fold, is_cjk, is_hangul, words

_logger = logging.getLogger(__name__)

_MAX_LINE = 64 * 1024 * 1024  # bytes; a longer answer means that the child is broken
_MAX_FAILURES = 3  # children that died in a row before we stop trying
_PAUSE = 300.0  # seconds until we try again after that
_CLOSE_TIMEOUT = 5.0  # seconds a child may take to end before it is killed

# Tags of Kiwi's set (after the Sejong corpus): nouns, roots, Han, foreign words and numbers are terms.
_NOUN_TAGS = frozenset({"NNG", "NNP", "NR", "XR", "SL", "SH", "SN"})
# So are stems of verbs and adjectives with two syllables; shorter ones (보, 하, 되) are in every text.
_STEM_TAGS = frozenset({"VV", "VA", "VV-R", "VV-I", "VA-R", "VA-I"})


class Token(Protocol):
    """What an analyser says of one morpheme; Kiwi's own tokens fit."""

    form: str
    tag: str


def content_terms(tokens: Iterable[Token]) -> list[str]:
    """The morphemes that say what a text is about, folded, in order; particles and endings are left out."""
    terms: list[str] = []
    for token in tokens:
        tag = token.tag
        if tag in _NOUN_TAGS or (tag in _STEM_TAGS and len(token.form) > 1 and is_hangul(token.form)):
            terms.extend(words(token.form))
    return terms


class MorphemeAnalyzer:
    """Content morphemes of texts, by a child process.

    Safe for concurrent use within one event loop; requests are answered in turn.

    Args:
        idle_seconds: the child ends after this long without a request.
        timeout: seconds for one request; a child that takes longer is killed.
        command: the child's command line, for tests; None: this module with this interpreter.
    """

    def __init__(
        self, *, idle_seconds: float = 60.0, timeout: float = 60.0, command: Sequence[str] | None = None
    ) -> None:
        self._idle_seconds = idle_seconds
        self._timeout = timeout
        self._command = tuple(command) if command else (sys.executable, "-m", "malmoi.core.morphemes")
        self._installed = command is not None or find_spec("kiwipiepy") is not None
        self._turn = asyncio.Lock()
        self._child: asyncio.subprocess.Process | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._failures = 0
        self._retry_at = 0.0
        self._warned = False

    @property
    def pid(self) -> int | None:
        """The child's process id while it runs."""
        return self._child.pid if self._child is not None and self._child.returncode is None else None

    @property
    def is_available(self) -> bool:
        """Whether morphemes can be had now: Kiwi is installed, and its child does not keep failing."""
        return self._installed and asyncio.get_running_loop().time() >= self._retry_at

    async def analyze(self, texts: Sequence[str]) -> list[list[str]]:
        """The content morphemes of each text, in order; empty lists where there is no analyser.

        A child that dies is replaced once; if the next one dies too, these texts have no morphemes.
        """
        if not any(_has_korean(text) for text in texts):
            return [[] for _ in texts]
        if not self.is_available:
            self._warn(
                "the analyser's process keeps failing" if self._installed else "kiwipiepy is not installed"
            )
            return [[] for _ in texts]
        async with self._turn:
            self._cancel_idle()
            try:
                for _ in range(2):
                    terms = await self._ask(texts)
                    if terms is not None:
                        self._failures = 0
                        return terms
                    self._failures += 1
                    if self._failures >= _MAX_FAILURES:
                        break
            finally:
                self._start_idle()
        if self._failures >= _MAX_FAILURES:
            self._retry_at = asyncio.get_running_loop().time() + _PAUSE
            self._warn("the analyser's process keeps failing")
        return [[] for _ in texts]

    async def close(self) -> None:
        """End the child, and wait until it is gone."""
        self._cancel_idle()
        async with self._turn:
            child, self._child = self._child, None
            if child is not None:
                await _end(child)
        if self._ending:
            await asyncio.gather(*self._ending, return_exceptions=True)

    async def _ask(self, texts: Sequence[str]) -> list[list[str]] | None:
        """The child's answer, or None when it died, hung or wrote nonsense; it is gone then."""
        try:
            child = await self._running()
            assert child.stdin is not None  # both are pipes
            assert child.stdout is not None
            async with asyncio.timeout(self._timeout):
                child.stdin.write(json.dumps({"texts": list(texts)}).encode() + b"\n")
                await child.stdin.drain()
                line = await child.stdout.readline()
            return _parse_answer(line, len(texts))
        except (OSError, ValueError, TimeoutError) as error:
            _logger.debug("the morpheme analyser failed: %r", error)
            self._drop()
            return None
        except asyncio.CancelledError:
            # The answer would be taken for that of the next request.
            self._drop()
            raise

    async def _running(self) -> asyncio.subprocess.Process:
        if self._child is None or self._child.returncode is not None:
            self._child = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                limit=_MAX_LINE,
            )
        return self._child

    def _drop(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        self._reap(child)

    def _reap(self, child: asyncio.subprocess.Process) -> None:
        task = asyncio.get_running_loop().create_task(_end(child))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    def _start_idle(self) -> None:
        if self._child is not None:
            self._idle = asyncio.get_running_loop().call_later(self._idle_seconds, self._end_idle)

    def _cancel_idle(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _end_idle(self) -> None:
        if self._turn.locked():  # a request came in just now; it starts the clock again
            return
        child, self._child = self._child, None
        if child is not None:
            self._reap(child)

    def _warn(self, why: str) -> None:
        if not self._warned:
            self._warned = True
            _logger.warning("Korean text is searched without morphemes: %s.", why)


async def _end(child: asyncio.subprocess.Process) -> None:
    """Close the child's input, at which it ends; kill it if it does not."""
    if child.stdin is not None:
        child.stdin.close()
    try:
        async with asyncio.timeout(_CLOSE_TIMEOUT):
            await child.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()


def _parse_answer(line: bytes, count: int) -> list[list[str]]:
    if not line.endswith(b"\n"):
        raise ValueError("the child ended in the middle of an answer")
    answer: Any = json.loads(line)
    terms = answer.get("terms") if isinstance(answer, dict) else None
    if not isinstance(terms, list) or len(terms) != count:
        raise ValueError("the child's answer has not as many lists as it was given texts")
    return [[str(term) for term in text_terms] for text_terms in terms]


def _has_korean(text: str) -> bool:
    return any(is_cjk(word) for word in words(text))


def _serve() -> None:
    """The child: answer each line of standard input until it ends."""
    os.nice(10)  # indexing must not slow down the model that answers somebody
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints goes to standard error, not between our lines
    from kiwipiepy import Kiwi

    # Without its lists of names and of multi-word terms Kiwi needs half the memory; what it then cuts wrongly
    # is still found by bigrams.
    kiwi = Kiwi(
        num_workers=1, model_type="cong", load_default_dict=False, load_multi_dict=False, load_typo_dict=False
    )
    for line in sys.stdin:
        texts = json.loads(line)["texts"]
        terms = [content_terms(kiwi.tokenize(fold(text))) for text in texts]
        answers.write(json.dumps({"terms": terms}, ensure_ascii=False) + "\n")
        answers.flush()


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        _serve()
