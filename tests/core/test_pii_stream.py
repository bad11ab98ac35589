"""Masking a growing text gives what masking the whole gives, wherever it is cut. All numbers are made up."""

import random
from collections.abc import Sequence

import pytest

from malmoi.core.pii import KINDS, REPLACEMENTS, PiiSettings, PiiStream, remove_pii

TEXTS = [
    "연락처는 010-1234-5678입니다. 메일은 hong.gildong@naver.com으로 보내 주세요.",
    "주민등록번호 900101-1234567 (홍길동), 외국인 900101-5123456 그리고 끝.",
    "110-234-567890 (신한은행) 으로 송금해 주세요",
    "계좌는 국민은행 123456-78-123456 입니다",
    "123456-78-123456 번이 제가 쓰는 계좌",
    "hong (at) naver.com 또는 hong 골뱅이 daum.net 또는 a+b@mail.example.co.kr.",
    "여권 M12345678, 제품 M12345678, 접속 211.45.127.99에서, IP: 8.8.8.8",
    "2001:4860:4860::8888 은 주소이고 fe80::1 은 아니다",
    "카드 4111 1111 1111 1112 유효기간 12/29 번호 4111111111111111",
    "1111222233334444 는 제 카드 번호",
    "2019 2020 2021 2022 그리고 버전 1.2.3.4 와 3.141592653589793",
    "010\n1234\n5678 과 010. 1234. 5678 그리고 +82 (0)10 1234 5678",
    "git clone git@github.com:a/b.git; npm install react@18.2.0",
    "Call (415) 555-2671 or +1 415 555 2671 now, e-mail x@y.org!",
    "전화 02-123-4567\t팩스 0212345678",
    "끝이 번호 01012345678",
    "０１０-１２３４-５６７８ 또는 010‑1234\u200b‑56\u20607\ufeff8",
    "kim＠naver．com, 9\u200b0\u200b0101‑1234567\u200b 입니다",
]
ALL = frozenset(KINDS)


def stream(pieces: Sequence[str]) -> str:
    masked = PiiStream(lambda finding, _: REPLACEMENTS[finding.kind], ALL)
    return "".join([*(masked.feed(piece) for piece in pieces), masked.close()])


@pytest.mark.parametrize("index", range(len(TEXTS)))
def test_every_cut_gives_the_result_of_the_whole(index: int) -> None:
    text = TEXTS[index]
    whole = remove_pii(text, PiiSettings())[0]
    for at in range(len(text) + 1):
        assert stream([text[:at], text[at:]]) == whole
    assert stream(list(text)) == whole


def test_random_pieces_of_long_texts_give_the_result_of_the_whole() -> None:
    rng = random.Random(3)
    for _ in range(40):
        text = " ".join(rng.choices(TEXTS, k=6))
        pieces = []
        at = 0
        while at < len(text):
            size = rng.randint(1, 9)
            pieces.append(text[at : at + size])
            at += size
        assert stream(pieces) == remove_pii(text, PiiSettings())[0]


def test_nothing_of_a_number_leaves_before_it_is_whole() -> None:
    masked = PiiStream(lambda finding, _: REPLACEMENTS[finding.kind], ALL)
    sent = ""
    for char in "제 번호는 010-1234-5678 이고 메일은 kim@naver.com 입니다":
        sent += masked.feed(char)
        assert "010" not in sent
        assert "kim" not in sent
    assert sent + masked.close() == "제 번호는 [전화번호] 이고 메일은 [이메일]@naver.com 입니다"


def test_plain_text_leaves_at_once() -> None:
    masked = PiiStream(lambda finding, _: "", ALL)
    assert masked.feed("오늘은 날씨가 ") == "오늘은 날씨가 "
    assert masked.num_held == 0


@pytest.mark.parametrize(
    "piece", ["1 ", "1234", "a", "a@", "1-", "::", "(", "010-", "1\u200b", "\u200b", "１"]
)
def test_hostile_runs_are_bounded_and_fast(piece: str) -> None:
    masked = PiiStream(lambda finding, _: REPLACEMENTS[finding.kind], ALL)
    text = piece * (20_000 // len(piece))
    held = 0
    for at in range(0, len(text), 7):
        masked.feed(text[at : at + 7])
        held = max(held, masked.num_held)
    masked.close()
    assert held <= 600


def test_long_runs_do_not_depend_on_the_pieces() -> None:
    rng = random.Random(5)
    text = "".join(rng.choice("0123456789 -") for _ in range(5000))
    whole = stream([text])
    assert stream(list(text)) == whole
    assert stream([text[:777], text[777:]]) == whole


def test_only_the_wanted_kinds_are_replaced() -> None:
    masked = PiiStream(lambda finding, value: f"<{value[-4:]}>", frozenset({"phone"}))
    assert masked.feed("a@naver.com 010-1234-5678 끝.") + masked.close() == "a@naver.com <5678> 끝."
