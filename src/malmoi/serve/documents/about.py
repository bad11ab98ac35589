"""What a document is about, where it has no title, as plain texts and many others."""

import re

_MOST = 120  # characters of a line
_MARKS = "\"'#=*:- \t"
_ENDINGS = re.compile(r"(\.[A-Za-z0-9]{1,5})+$")


def first_line(text: str) -> str:
    """The first line that says something: a title, more often than not."""
    for line in text.splitlines():
        told = line.strip(_MARKS)
        if sum(char.isalnum() for char in told) > 1:
            return told[:_MOST]
    return ""


def plain_name(name: str) -> str:
    """The words of a file's name and its folders, without its format."""
    return " ".join(re.findall(r"[^\W_]+", _ENDINGS.sub("", name)))
