"""Personal data: what is found, what is not, and that hard look-alikes stay. All numbers are made up."""

import random

import pytest

from malmoi.core.pii import PiiSettings, find_pii, remove_pii
from malmoi.core.pii.checks import is_ean, is_plausible_birth, passes_luhn

FOUND = [
    ("주민등록번호는 900101-1234567입니다", "주민등록번호는 [주민등록번호]입니다"),
    ("9001011234567", "[주민등록번호]"),  # no hyphen, wrong check digit
    ("생년 000229-4123456 확인", "생년 [주민등록번호] 확인"),  # 2000 had a 29 February
    ("900101 - 1234567", "[주민등록번호]"),
    ("뒷자리 900101-1******", "뒷자리 [주민등록번호]"),
    ("외국인 900101-5123456", "외국인 [외국인등록번호]"),
    ("연락처010-1234-5678로", "연락처[전화번호]로"),
    ("01012345678", "[전화번호]"),
    ("010 1234 5678", "[전화번호]"),
    ("010.1234.5678", "[전화번호]"),
    ("010 - 1234 - 5678", "[전화번호]"),
    ("(010)1234-5678", "[전화번호]"),
    ("016-234-5678", "[전화번호]"),
    ("+82-10-1234-5678", "[전화번호]"),
    ("+82 (0)10 1234 5678", "[전화번호]"),
    ("02-123-4567", "[전화번호]"),
    ("(02) 1234-5678", "[전화번호]"),
    ("031)123-4567", "[전화번호]"),
    ("070-1234-5678", "[전화번호]"),
    ("전화 0212345678", "전화 [전화번호]"),
    ("+1 415 555 2671", "[전화번호]"),
    ("hong.gildong@naver.com으로", "[이메일]@naver.com으로"),
    ("<a+b@mail.example.co.kr>", "<[이메일]@mail.example.co.kr>"),
    ("hong (at) naver.com", "[이메일] (at) naver.com"),
    ("hong골뱅이naver.com", "[이메일]골뱅이naver.com"),
    ("01012345678@naver.com", "[이메일]@naver.com"),
    ("4111-1111-1111-1111", "[카드번호]"),
    ("4111-1111-1111-1112", "[카드번호]"),  # Luhn fails: still the shape of a card
    ("4111 1111 1111 1112", "[카드번호]"),
    ("4111111111111111", "[카드번호]"),
    ("카드 4111111111111112", "카드 [카드번호]"),
    ("3782-822463-10005", "[카드번호]"),
    ("국민은행 123456-78-123456", "국민은행 [계좌번호]"),
    ("계좌: 3333-01-1234567 홍길동", "계좌: [계좌번호] 홍길동"),
    ("110-234-567890 (신한은행)", "[계좌번호] (신한은행)"),
    ("여권 M12345678", "여권 [여권번호]"),
    ("passport no. M123A4567", "passport no. [여권번호]"),
    ("접속 211.45.127.99에서", "접속 [IP주소]에서"),
    ("IP: 8.8.8.8", "IP: [IP주소]"),
    ("2001:4860:4860:0:0:0:0:8888", "[IP주소]"),
    ("2001:4860:4860::8888 ", "[IP주소] "),
    ("2024-11-22 01:22,010-1234-5678", "2024-11-22 01:22,[전화번호]"),
]
KEPT = [
    "버전 1.2.3.4와 10.0.19041.1",
    "v11.22.33.44",
    "192.168.10.25, 127.0.0.1, 203.0.113.10, 300.11.22.33",
    "2020-01-02 ~ 2021-03-04",
    "2019 2020 2021 2022",
    "1998.10.24-2001.03.15",
    "ISBN 979-11-5783-123-4",
    "ISBN 9788936434120",
    "바코드 8801234567893",
    "991332-1234567",  # month 13
    "000230-3123456",  # 30 February
    "가격은 1,234,567,890원",
    "3.14159265358979323846",
    "0.01012345678",
    "0x01012345678 id_01012345678 a01012345678f",
    "int x = 01010101010;",
    "5d41402abc4b2a76b9719d911017c592",
    "550e8400-e29b-41d4-a716-446655440000",
    "1234567890123456",
    "사건번호 2019-123456-789012",
    "1588-1234",
    "015-123-4567",
    "제품 M12345678",
    "여권이 있다. 그런데 부품 번호는 따로 적혀 있으며 아주 긴 설명 뒤에 나온다: X12345678",
    "@dataclass(frozen=True)",
    "npm install react@18.2.0",
    "icon@2x.png",
    "git clone git@github.com:a/b.git",
    "user@localhost",
    "a@b",
    "12:30:45, fe80::1, 2001:db8::1, std::vector<int>::size",
    "(a+b)*(c-d)/2-10+5-3",
    "우리 나라 123-456-789012",
    "1700000000000",
    "2023112201224012",
]


DISGUISED = [
    "０１０-１２３４-５６７８",
    "０１０－１２３４－５６７８",
    "010‑1234‑5678",
    "010‐1234‐5678",
    "010−1234−5678",
    "010—1234—5678",
    "010ㅡ1234ㅡ5678",
    "010\u00a01234\u00a05678",
    "010-1234-\u200b5678",
    "01\u00ad0-1234-5678",
    "0\u20601\u20600\u2060-\u20601\u2060234-5678",
    "٠١٠-١٢٣٤-٥٦٧٨",
    "⓪①⓪-①②③④-⑤⑥⑦⑧",
    "𝟎𝟏𝟎-𝟏𝟐𝟑𝟒-𝟓𝟔𝟕𝟖",
]


@pytest.mark.parametrize("text", DISGUISED, ids=[f"{number}" for number in range(len(DISGUISED))])
def test_other_forms_of_signs_hide_no_number(text: str) -> None:
    assert remove_pii(f"제 번호는 {text}입니다", PiiSettings())[0] == "제 번호는 [전화번호]입니다"


def test_other_forms_of_signs_hide_no_address_or_person() -> None:
    text = "kim＠naver．com, lee\u200b@naver.com, 900101‑1234567, ４１１１ １１１１ １１１１ １１１１"
    found = [(one.kind, text[one.start : one.end]) for one in find_pii(text)]
    assert found == [
        ("email", "kim"),
        ("email", "lee"),
        ("rrn", "900101‑1234567"),
        ("card", "４１１１ １１１１ １１１１ １１１１"),
    ]


def test_text_around_disguised_data_stays_as_it_is() -> None:
    text = "👨‍👩‍👧 １번　메뉴 ﹣ 010‑1234‑5678 ﻿끝"
    assert remove_pii(text, PiiSettings())[0] == text.replace("010‑1234‑5678", "[전화번호]")


@pytest.mark.parametrize(("text", "expected"), FOUND)
def test_personal_data_is_replaced(text: str, expected: str) -> None:
    assert remove_pii(text, PiiSettings())[0] == expected
    inside = f"앞말 {text} 뒷말"
    assert remove_pii(inside, PiiSettings())[0] == f"앞말 {expected} 뒷말"


@pytest.mark.parametrize("text", KEPT)
def test_look_alikes_stay(text: str) -> None:
    assert remove_pii(text, PiiSettings()) == (text, {})


@pytest.mark.parametrize("text", [text for text, _ in FOUND] + KEPT)
def test_a_second_time_changes_nothing(text: str) -> None:
    once, _ = remove_pii(text, PiiSettings())
    assert remove_pii(once, PiiSettings()) == (once, {})


def test_precision_and_recall_on_made_up_sentences() -> None:
    rng = random.Random(7)

    def digits(count: int) -> str:
        return "".join(rng.choice("0123456789") for _ in range(count))

    def birth() -> str:
        return f"{rng.randint(40, 99)}{rng.randint(1, 12):02}{rng.randint(1, 28):02}"

    hosts = ["naver.com", "gmail.com", "snu.ac.kr"]
    makers = {
        "rrn": lambda: f"{birth()}-{rng.randint(1, 2)}{digits(6)}",
        "phone": lambda: f"010{rng.choice(['-', '', ' ', '.'])}{rng.randint(2000, 9999)}-{digits(4)}",
        "email": lambda: f"{rng.choice('abcxyz')}{digits(3)}@{rng.choice(hosts)}",
        "card": lambda: f"{rng.choice('3459')}{digits(3)}-{digits(4)}-{digits(4)}-{digits(4)}",
        "account": lambda: f"계좌 {digits(3)}-{digits(2)}-{digits(6)}",
    }
    frames = ["제 번호는 {}입니다.", "{}로 연락 주세요", "({}) 확인", "값={} 끝", "문의:{}"]
    found = right = 0
    for _ in range(400):
        kind = rng.choice(list(makers))
        sentence = rng.choice(frames).format(makers[kind]())
        kinds = [finding.kind for finding in find_pii(sentence)]
        found += len(kinds)
        right += kinds == [kind]
    assert right >= 0.98 * 400
    assert right >= 0.98 * found


def test_kinds_words_and_counts_follow_the_settings() -> None:
    text = "010-1234-5678, 010-2222-3333, a@naver.com, 900101-5123456"
    settings = PiiSettings(kinds=("phone", "foreigner"), replacements={"phone": "<전화>"})
    changed, counts = remove_pii(text, settings)
    assert changed == "<전화>, <전화>, a@naver.com, [외국인등록번호]"
    assert counts == {"phone": 2, "foreigner": 1}


@pytest.mark.parametrize(
    "piece",
    [
        "1",
        "1-",
        "0 ",
        "a",
        "a.",
        "@",
        "a@",
        "1.1",
        "(",
        "010-",
        "2001:",
        "::",
        "9001011",
        "골뱅이",
        "1\u200b",
        "１",
        "\u200b",
    ],
)
def test_hostile_runs_take_linear_time(piece: str) -> None:
    remove_pii(piece * (300_000 // len(piece)), PiiSettings())  # the time limit is the assertion


def test_checks() -> None:
    assert passes_luhn("4111111111111111")
    assert not passes_luhn("4111111111111112")
    assert is_ean("8801234567893")
    assert not is_ean("8801234567890")
    assert is_plausible_birth("000229", 3)
    assert not is_plausible_birth("000229", 1)  # 1900 had none
    assert not is_plausible_birth("990101", 3)
