"""What can be trimmed: a GGUF file or a model folder, behind one face."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from malmoi.core.errors import ModelFileInvalid
from malmoi.core.stage import Task
from malmoi.factory.tokenizer.trim.folder_file import folder_vocabulary, read_model_folder
from malmoi.factory.tokenizer.trim.folder_write import check_spans, folder_size_after, write_trimmed_folder
from malmoi.factory.tokenizer.trim.gguf_file import read_file, vocabulary_of
from malmoi.factory.tokenizer.trim.gguf_write import check_tensors, size_after, write_trimmed
from malmoi.factory.tokenizer.trim.vocabulary import Vocabulary


class TrimmableModel(ABC):
    """A model whose vocabulary can be made smaller."""

    path: Path
    name: str
    notes: list[str]
    """What a person should know about this model's trimming."""

    @property
    @abstractmethod
    def vocabulary(self) -> Vocabulary:
        """Its whole vocabulary."""

    @abstractmethod
    def bytes_of(self, count: int | None = None) -> int:
        """Bytes of all weights with `count` tokens; None: as it is."""

    @abstractmethod
    def write(self, kept: Sequence[int], out: Path, task: Task | None = None) -> str:
        """Write the trimmed model into the folder `out`; returns its name there ("." is the folder)."""


class GgufModel(TrimmableModel):
    """A GGUF file."""

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name
        self._file = read_file(path)
        check_tensors(self._file)
        self.notes = []
        if not self._file.splitting_known:
            self.notes.append(
                f"The file cuts words by the rule {self._file.text('tokenizer.ggml.pre')!r}; tokens were "
                "counted by that of GPT-2. The counts are a little off, the result is right."
            )

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The vocabulary of its metadata."""
        return vocabulary_of(self._file)

    def bytes_of(self, count: int | None = None) -> int:
        """Bytes of its tensors."""
        return size_after(self._file, self._file.info.vocab_size if count is None else count)

    def write(self, kept: Sequence[int], out: Path, task: Task | None = None) -> str:
        """Write model.gguf."""
        write_trimmed(self._file, self.vocabulary, kept, out / "model.gguf", task)
        return "model.gguf"


class FolderModel(TrimmableModel):
    """A folder with config.json, tokenizer.json and safetensors."""

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name
        self._folder = read_model_folder(path)
        check_spans(self._folder)
        self.notes = []

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The vocabulary of its tokenizer.json."""
        return folder_vocabulary(self._folder)

    def bytes_of(self, count: int | None = None) -> int:
        """Bytes of its tensors."""
        return folder_size_after(self._folder, self._folder.rows if count is None else count)

    def write(self, kept: Sequence[int], out: Path, task: Task | None = None) -> str:
        """Write all files of the folder."""
        write_trimmed_folder(self._folder, self.vocabulary, kept, out, task)
        return "."


def open_trimmable(path: Path, name: str) -> TrimmableModel:
    """Open a model to trim.

    Raises:
        ModelFileInvalid: there is no such file, or it is not whole.
        Unsupported: its tokenizer or tensors cannot be trimmed.
    """
    if path.is_dir():
        return FolderModel(path, name)
    if not path.is_file():
        raise ModelFileInvalid(f"there is no file or folder {path}.")
    return GgufModel(path, name)
