"""Text to token ids and back, by the tokenizer.json of any model folder.

A thin shell over `tokenizers`: content goes through `encode_batch_fast` on all processor cores, and no text
ever becomes a control token.
"""

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from malmoi.core.errors import InvalidInput, ModelFileInvalid
from malmoi.factory.tokenizer.special_tokens import END_OF_TEXT

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "special_tokens.json",
    "chat_template.jinja",
)  # fmt: skip
"""The files of a folder that are its tokenizer; only the first must be there."""


class Tokenizer:
    """A vocabulary, and how text is cut into it.

    Args:
        backend: a `tokenizers.Tokenizer`; it is this object's own from now on.
        eot_id: the token that ends a document; None: there is none.
        name: what errors and reports call it.
    """

    def __init__(self, backend: Any, *, eot_id: int | None, name: str = "tokenizer") -> None:
        self.name = name
        self.backend = backend
        # Content that looks like a control token stays text.
        backend.encode_special_tokens = True
        added = backend.get_added_tokens_decoder()
        self._special = {token.content: number for number, token in sorted(added.items()) if token.special}
        self._eot_id = eot_id
        self._size = max(backend.get_vocab(with_added_tokens=True).values(), default=-1) + 1
        is_bytes = _decoder_kind(json.loads(backend.to_str())) == "bytes"
        self._bytes = byte_of_character() if is_bytes else None

    @classmethod
    def load(cls, path: Path) -> "Tokenizer":
        """Read the tokenizer of a model folder, or a tokenizer.json by itself.

        Raises:
            ModelFileInvalid: it is not there or cannot be read.
        """
        from tokenizers import Tokenizer as Backend

        path = Path(path)
        file = path / "tokenizer.json" if path.is_dir() else path
        if not file.is_file():
            raise ModelFileInvalid(
                f"{path}: there is no tokenizer.json.",
                fix="Name a folder that has one, or the file itself.",
            )
        try:
            text = file.read_text(encoding="utf-8")
            backend = Backend.from_str(text)
        except OSError as error:
            raise ModelFileInvalid(f"{file} cannot be read: {error.strerror}.") from error
        except UnicodeDecodeError as error:
            raise ModelFileInvalid(f"{file} is not UTF-8.") from error
        except Exception as error:  # the Rust library raises bare Exception for whatever it cannot parse
            raise ModelFileInvalid(f"{file} is not a tokenizer: {error}.") from error
        backend.no_padding()
        backend.no_truncation()
        name = path.name if path.is_dir() else path.stem
        return cls(backend, eot_id=_end_of_text(file.parent, backend), name=name)

    @property
    def vocab_size(self) -> int:
        """One more than the highest id: the rows that an embedding needs."""
        return self._size

    @property
    def eot_id(self) -> int:
        """The token that follows each document.

        Raises:
            InvalidInput: the tokenizer names none.
        """
        if self._eot_id is None:
            raise InvalidInput(
                f"{self.name}: this tokenizer has no end-of-text token.",
                fix=f"Add {END_OF_TEXT} to it, or name its eos_token in tokenizer_config.json.",
            )
        return self._eot_id

    @property
    def special(self) -> Mapping[str, int]:
        """The control tokens and their ids, in the order of the ids."""
        return self._special

    def encode(self, text: str) -> list[int]:
        """The ids of content: nothing is added, and strings that look like control tokens stay text."""
        ids: list[int] = self.backend.encode(text, add_special_tokens=False).ids
        return ids

    def encode_batch(self, texts: Sequence[str]) -> "list[NDArray[np.uint32]]":
        """As `encode`, for many texts on all cores.

        Returns:
            One uint32 array a text, of shape (tokens,).
        """
        import numpy as np

        encodings = self.backend.encode_batch_fast(texts, add_special_tokens=False)
        return [np.array(encoding.ids, dtype=np.uint32) for encoding in encodings]

    def decode(self, ids: "Iterable[int] | NDArray[Any]", *, skip_special: bool = False) -> str:
        """The text of ids; bytes that are not UTF-8 become U+FFFD.

        Args:
            ids: token ids.
            skip_special: leave control tokens out instead of writing their names.
        """
        numbers = [int(number) for number in ids]
        text: str = self.backend.decode(numbers, skip_special_tokens=skip_special)
        return text

    def token_bytes(self, number: int) -> bytes:
        """What a token stands for in UTF-8; a control token stands for its name.

        Raises:
            InvalidInput: there is no such id.
        """
        token: str | None = self.backend.id_to_token(int(number))
        if token is None:
            raise InvalidInput(f"{self.name}: there is no token {number}; ids go up to {self._size - 1}.")
        if token in self._special:
            return token.encode()
        if self._bytes is not None:
            if all(character in self._bytes for character in token):
                return bytes(self._bytes[character] for character in token)
            return token.encode()  # an added token outside the byte alphabet
        if len(token) == 6 and token.startswith("<0x") and token.endswith(">"):
            return bytes([int(token[3:5], 16)])
        return token.replace("\u2581", " ").encode()


def copy_tokenizer(folder: Path, out: Path) -> list[str]:
    """Copy the tokenizer files of a folder into another; gives the names of those that were there.

    Raises:
        ModelFileInvalid: `folder` has no tokenizer.json.
    """
    names = [name for name in TOKENIZER_FILES if (folder / name).is_file()]
    if "tokenizer.json" not in names:
        raise ModelFileInvalid(f"{folder}: there is no tokenizer.json.")
    out.mkdir(parents=True, exist_ok=True)
    for name in names:
        shutil.copyfile(folder / name, out / name)
    return names


def byte_of_character() -> dict[str, int]:
    """The printable character that byte-level BPE writes for each byte (the table of GPT-2), reversed."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    table = {chr(byte): byte for byte in printable}
    others = (byte for byte in range(256) if byte not in set(printable))
    table.update({chr(256 + number): byte for number, byte in enumerate(others)})
    return table


def _decoder_kind(saved: Mapping[str, Any]) -> str:
    """How tokens are written: "bytes" in the byte alphabet, else "text" (SentencePiece)."""
    return "bytes" if '"ByteLevel"' in json.dumps(saved.get("decoder")) else "text"


def _end_of_text(folder: Path, backend: Any) -> int | None:
    number: int | None = backend.token_to_id(END_OF_TEXT)
    if number is not None:
        return number
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        try:
            settings = json.loads((folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue  # these files are optional
        token = settings.get("eos_token") if isinstance(settings, dict) else None
        if isinstance(token, dict):
            token = token.get("content")
        if isinstance(token, str):
            number = backend.token_to_id(token)
            if number is not None:
                return number
    return None
