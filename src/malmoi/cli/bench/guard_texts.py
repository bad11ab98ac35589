"""Sentences for measuring the guard: made-up personal data with its places, look-alikes, and plain Korean."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

FRAMES = (
    "제 {what} {}입니다.",
    "{what}: {} 확인 부탁드립니다.",
    "문의는 {what} {}로 해 주세요.",
    "안녕하세요, {what}가 바뀌어서 {} 으로 다시 보냅니다.",
    "({what} {}) 참고하세요.",
)
LOOK_ALIKES = (
    "버전 {a}.{b}.{c}.{d}을 설치하세요.",
    "2019 2020 2021 2022년의 매출은 {a}{b},{c}00,000원입니다.",
    "ISBN 979-11-57{a}{b}-123-4 책을 찾습니다.",
    "사건번호 2019-{a}{b}{c}456-789012 판결문",
    "제품 M1234{a}{b}7{c}을 주문했습니다.",
    "git clone git@github.com:team{a}/app.git 으로 받으세요.",
    "기간은 2020-01-0{x} ~ 2021-03-0{y} 입니다.",
    "원주율은 3.14159265358979{a}{b} 입니다.",
    "바코드 8801234567893 상품입니다.",
    "사설 주소 192.168.10.{a}{b}에 접속합니다.",
    "대표번호 1588-1{x}3{y}로 전화하세요.",
    "npm install react@18.{x}.{y} 를 실행하세요.",
)


@dataclass(frozen=True, slots=True)
class Marked:
    """A text and where personal data stands in it: `(kind, start, end)`."""

    text: str
    places: tuple[tuple[str, int, int], ...]


def personal_texts(count: int, seed: int) -> Iterator[Marked]:
    """So many sentences, two of three with one piece of made-up personal data."""
    dice = Random(seed)  # noqa: S311  # made-up numbers, no secrets

    def digits(length: int) -> str:
        return "".join(dice.choice("0123456789") for _ in range(length))

    def birth() -> str:
        return f"{dice.randint(50, 99)}{dice.randint(1, 12):02}{dice.randint(1, 28):02}"

    def card() -> str:
        head = dice.choice(["4", "51", "9", "35"]) + digits(14)
        return next(head[:15] + str(last) for last in range(10) if _luhn(head[:15] + str(last)))

    while count > 0:
        count -= 1
        if dice.random() < 1 / 3:
            values = {name: dice.randint(10, 99) for name in "abcd"} | {"x": dice.randint(1, 9)}
            yield Marked(dice.choice(LOOK_ALIKES).format(**values, y=dice.randint(1, 9)), ())
            continue
        gap = dice.choice(["-", "-", " ", "."])
        number = card()
        kind, what, value = dice.choice(
            [
                ("rrn", "주민등록번호", f"{birth()}-{dice.randint(1, 2)}{digits(6)}"),
                ("foreigner", "외국인등록번호", f"{birth()}-{dice.randint(5, 6)}{digits(6)}"),
                ("phone", "휴대폰 번호", f"010{gap}{dice.randint(2000, 9999)}{gap}{digits(4)}"),
                (
                    "phone",
                    "전화번호",
                    f"0{dice.choice(['2', '31', '51'])}-{dice.randint(200, 999)}-{digits(4)}",
                ),
                ("email", "메일", f"{dice.choice(['kim', 'lee.js', 'park_01'])}{digits(2)}@naver.com"),
                ("card", "카드 번호", "-".join(number[at : at + 4] for at in range(0, 16, 4))),
                ("account", "계좌는 국민은행", f"{digits(6)}-{digits(2)}-{digits(6)}"),
                ("passport", "여권번호", f"M{digits(8)}"),
                (
                    "ip",
                    "접속 IP",
                    f"211.{dice.randint(11, 99)}.{dice.randint(100, 250)}.{dice.randint(11, 99)}",
                ),
            ]
        )
        before, _, after = dice.choice(FRAMES).replace("{what}", what).partition("{}")
        yield Marked(f"{before}{value}{after}", ((kind, len(before), len(before) + len(value)),))


def _luhn(digits: str) -> bool:
    from malmoi.core.pii.checks import passes_luhn

    return passes_luhn(digits)
