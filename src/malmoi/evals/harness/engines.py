"""The engines that one model is judged with: one that writes answers, and one that scores given texts.

llama.cpp writes fast but scores nothing; torch scores exactly but writes slowly. So a GGUF file may be opened
twice, each time when it is first needed.
"""

import asyncio
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, TypeAlias

from malmoi.core.errors import Unsupported
from malmoi.engine.base import Engine
from malmoi.engine.open import open_engine
from malmoi.engine.options import EngineOptions

Backend: TypeAlias = Literal["auto", "torch", "llamacpp"]

SLOTS = 8
"""Answers that are written at the same time."""


class ModelEngines:
    """The engines of one model, opened when they are needed; everything runs on one event loop.

    Args:
        ref: the model, as `open_engine` takes it.
        home: Malmoi's home directory.
        runner: owns the event loop.
        backend: `auto`: torch where texts are scored, llama.cpp where answers are written; else only this.
        options: threads, context length and so on.
    """

    def __init__(
        self,
        ref: str,
        *,
        home: Path,
        runner: asyncio.Runner,
        backend: Backend = "auto",
        options: EngineOptions | None = None,
    ) -> None:
        self.ref = ref
        self.runner = runner
        self._home = home
        self._backend = backend
        self._options = options or EngineOptions(slots=SLOTS)
        self._writer: Engine | None = None
        self._scorer: Engine | None = None

    def writer(self) -> Engine:
        """The engine that writes answers."""
        if self._writer is None:
            self._writer = self._open(torch=self._backend == "torch")
        return self._writer

    def scorer(self) -> Engine | None:
        """The engine that scores given texts; None: there is none for this model."""
        if self._scorer is None:
            if self._writer is None and self._backend == "auto" and self._is_local():
                self._scorer = self._open(torch=True)  # folders are opened once: the same engine writes
                if self._scorer.info.kind != "torch" or self._is_folder():
                    self._writer = self._scorer
            elif "score" in self.writer().info.capabilities:
                self._scorer = self._writer
            elif self._backend == "auto" and self._is_local():
                self._scorer = self._open(torch=True)
        return self._scorer if self._scorer and "score" in self._scorer.info.capabilities else None

    def need_scorer(self) -> Engine:
        """The engine that scores given texts.

        Raises:
            Unsupported: there is none; the fix says what can be done.
        """
        scorer = self.scorer()
        if scorer is None:
            raise Unsupported(
                f"{self.ref} is opened by an engine that cannot score given texts.",
                fix="Use --engine torch (pip install 'malmoi[train]'), or --protocol report, which needs one "
                "written token only.",
            )
        return scorer

    def close(self) -> None:
        """Close what is open."""
        for engine in {id(engine): engine for engine in (self._writer, self._scorer) if engine}.values():
            self.runner.run(engine.close())

    def _open(self, *, torch: bool) -> Engine:
        options = self._options.model_copy(update={"torch": torch})
        return self.runner.run(open_engine(self.ref, home=self._home, options=options))

    def _is_local(self) -> bool:
        """Whether torch could open it, and is there to do so."""
        scheme, colon, _ = self.ref.partition(":")
        local = not colon or scheme in ("path", "hf", "run")
        return local and find_spec("torch") is not None and find_spec("transformers") is not None

    def _is_folder(self) -> bool:
        from malmoi.evals.harness.identity import find_files

        found = find_files(self.ref, home=self._home)
        return found is not None and found.is_dir()
