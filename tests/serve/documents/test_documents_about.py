"""What a document is about where it has no title."""

import pytest

from malmoi.serve.documents.about import first_line, plain_name


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("보안 경고\n서명되지 않은 매크로", "보안 경고"),
        ('"""\n====\nPyTorch란?\n===', "PyTorch란?"),
        ("\n - \n**소스 코드:** ast", "소스 코드:** ast"),
        ("", ""),
        ("가" * 500, "가" * 120),
    ],
    ids=["plain", "marks", "list", "nothing", "long"],
)
def test_the_first_line_that_says_something(text: str, line: str) -> None:
    assert first_line(text) == line


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("manuals/network/proxy_setup.hwpx", "manuals network proxy setup"),
        ("help/scalc/01020000.html.txt", "help scalc 01020000"),
        ("v1.2 안내.pdf", "v1 2 안내"),
        ("메모", "메모"),
    ],
    ids=["folders", "two formats", "a number", "no format"],
)
def test_the_words_of_a_name(name: str, words: str) -> None:
    assert plain_name(name) == words
