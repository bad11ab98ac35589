"""What the measurements of documents measure with: a PDF whose words are all found."""

import base64
from dataclasses import asdict

from malmoi.assist.retrieval.parsing import ParseLimits, child
from malmoi.serve.documents.bench.pages import generated_pdf


def test_a_generated_pdf_has_its_pages_and_its_last_sentence() -> None:
    content, last = generated_pdf(3)
    told = child.read(base64.b64encode(content).decode(), "long.pdf", asdict(ParseLimits()))
    text = told["text"]
    assert told["pages"] == 3
    assert text.count(last) == 1
    assert sum("가" <= char <= "힣" for char in text) > 3 * 900
    assert generated_pdf(3)[0] == content
