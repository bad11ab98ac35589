"""The step of the corpus that takes personal data out; what is found is tested in tests/core/test_pii.py."""

from malmoi.core.pii import PiiSettings
from malmoi.factory.corpus.documents import Document
from malmoi.factory.corpus.pii import RemovePii


def test_a_document_keeps_its_origin_and_counts_what_was_taken_out() -> None:
    text = "010-1234-5678, 010-2222-3333, a@naver.com, 900101-5123456"
    document = Document("i", text, "s", "ko", "MIT", "o#1")
    after, counts = RemovePii(PiiSettings()).change(document)
    assert after.text == "[전화번호], [전화번호], [이메일]@naver.com, [외국인등록번호]"
    assert counts == {"phone": 2, "email": 1, "foreigner": 1}
    assert (after.id, after.origin) == ("i", "o#1")


def test_a_document_without_personal_data_is_the_same_object() -> None:
    document = Document("i", "오늘은 맑다", "s", "ko", "MIT", "o#1")
    assert RemovePii(PiiSettings()).change(document) == (document, {})
