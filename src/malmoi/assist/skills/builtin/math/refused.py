"""What is not worked out, said in the caller's language by the texts of this skill."""

from malmoi.core.errors import InvalidInput


class Refused(InvalidInput):
    """Mathematics that cannot be read or is not worked out here.

    `key` names the sentence `refused_<key>` in `texts.toml`; `word` is put into it. The message is the
    English one.
    """

    def __init__(self, key: str, word: str = "", *, field: str | None = None) -> None:
        from malmoi.assist.skills.builtin.texts import Texts

        super().__init__(Texts(__package__).say("en", f"refused_{key}", word=word), field=field)
        self.key = key
        self.word = word
