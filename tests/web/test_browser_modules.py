"""The pure modules of the page, called one by one in the browser that runs them."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from browser_site import DEMO, RULES, start_site
from playwright.sync_api import Browser

pytestmark = pytest.mark.e2e
Call = Callable[..., Any]


@pytest.fixture(scope="module")
def call(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Call]:
    """Run JavaScript with a module of the page as `m` and the argument as `x`; one page serves all."""
    site = start_site(tmp_path_factory.mktemp("home"), RULES)
    page = browser.new_page(base_url=site.url)
    page.goto("/")
    root = re.search(r"/static/v/\w+/", page.content())
    assert root is not None

    def run(module: str, code: str, argument: Any = None) -> Any:
        address = f"{root.group()}{module}"
        return page.evaluate(f"async (x) => {{ const m = await import('{address}'); {code} }}", argument)

    yield run
    page.close()
    site.close()


def test_events_are_read_wherever_the_stream_is_cut(call: Call) -> None:
    text = (
        ': beat\n\nevent: token\ndata: {"text": "한"}\n\nevent: done\r\ndata: {"a":\r\ndata: 1}\r\n\r\n:x\n\n'
    )
    outcomes = call(
        "shell/sse.js",
        """return Array.from({ length: x.length + 1 }, (_, cut) => {
             const parser = new m.EventParser();
             return JSON.stringify([...parser.push(x.slice(0, cut)), ...parser.push(x.slice(cut))]);
           });""",
        text,
    )
    assert set(outcomes) == {'[{"event":"token","data":{"text":"한"}},{"event":"done","data":{"a":1}}]'}


@pytest.mark.parametrize(
    ("text", "tex"),
    [
        ("$x^2$", "x^2"),
        (r"\(a+b\)", "a+b"),
        (r"$$\frac{1}{2}$$", r"\frac{1}{2}"),
        (r"\[x\]", "x"),
        ("$5 and $10", None),
        ("$5-$10", None),
        ("$ x $", None),
        ("$x", None),
        ("$$", None),
        (r"$a\$b$", r"a\$b"),
        ("$x$원", "x"),
    ],
)
def test_math_is_told_from_prices(call: Call, text: str, tex: str | None) -> None:
    found = call("chat/math-rule.js", "return m.mathAt(x, 0)?.tex ?? null", text)
    assert found == tex


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("**“말모이”**는", "<p><strong>“말모이”</strong>는</p>"),
        ("**굵게(bold)**와 **이것**은", "<p><strong>굵게(bold)</strong>와 <strong>이것</strong>은</p>"),
        ("이것은 **'강조'**입니다", "<p>이것은 <strong>'강조'</strong>입니다</p>"),
        ("2 * 3 * 4", "<p>2 * 3 * 4</p>"),
        ("snake_case_name", "<p>snake_case_name</p>"),
        ("*a* **b** ***c***", "<p><em>a</em> <strong>b</strong> <em><strong>c</strong></em></p>"),
        ("~~취소(線)~~는", "<p><s>취소(線)</s>는</p>"),
        ("<b>x</b>", "<p>&lt;b&gt;x&lt;/b&gt;</p>"),
        ("한 줄\n두 줄", "<p>한 줄<br>\n두 줄</p>"),
        ("setup.py readme.md", "<p>setup.py readme.md</p>"),
    ],
)
def test_markdown_as_koreans_write_it(call: Call, source: str, shown: str) -> None:
    assert call("chat/markdown.js", "return m.blocksOf(x)[0].html", source).strip() == shown


GROWING = [
    DEMO,
    "1. 하나\n\n2. 둘\n\n3. 셋\n\n끝.\n",
    "- 가\n\n  나\n- 다\n\n* 라\n\n***\n\n제목\n===\n\n본문",
    "```python\na = 1\n\nb = 2\n```\n\n본문\n\n```\n열린 채로",
    "| a | b |\n|---|---|\n| 1 | 2 |\n\n> 인용\n계속\n\n    코드\n\n본문",
    "$$\nx\n$$\n\n본문 $y$\n\n\\[\nz\n\\]\n",
    "[말]: https://example.kr\n\n[말] 그리고 [말].\n",
]


@pytest.mark.parametrize("text", GROWING)
def test_a_growing_text_ends_as_if_it_had_come_at_once(call: Call, text: str) -> None:
    problems = call(
        "chat/markdown.js",
        """const whole = m.blocksOf(x).map((block) => block.html);
           const reader = new m.BlockReader();
           const found = [];
           let kept = [];
           for (let end = 1; end <= x.length; end += 1) {
             const { blocks, finished } = reader.read(x.slice(0, end), false);
             const now = blocks.slice(0, finished).map((block) => block.html);
             const before = JSON.stringify(now.slice(0, kept.length));
             if (before !== JSON.stringify(kept)) found.push(`changed at ${end}`);
             kept = now;
           }
           const last = reader.read(x, true).blocks.map((block) => block.html);
           if (JSON.stringify(last) !== JSON.stringify(whole)) found.push('the end differs');
           const isReference = /^\\[.+\\]:/m.test(x);
           if (!isReference && JSON.stringify(whole.slice(0, kept.length)) !== JSON.stringify(kept)) {
             found.push(`finished blocks differ: ${JSON.stringify(kept)}`);
           }
           return found;""",
        text,
    )
    assert problems == []


def test_the_tail_alone_is_parsed_again(call: Call) -> None:
    parsed = call(
        "chat/markdown.js",
        """const reader = new m.BlockReader();
           const lengths = [];
           let text = '';
           for (let number = 0; number < 200; number += 1) {
             text += `문단 ${number}: 조금 긴 글이 이어진다.\\n\\n`;
             lengths.push(reader.read(text + '다음 문단이 시작된다', false).finished);
           }
           return lengths;""",
    )
    assert parsed == list(range(1, 201))


def test_ways_through_a_tree(call: Call) -> None:
    rows = [
        ("u1", None, "user"),
        ("a1", "u1", "assistant"),
        ("a2", "u1", "assistant"),
        ("u2", "a1", "user"),
        ("u3", None, "user"),
    ]
    outcome = call(
        "chat/tree.js",
        """const messages = new Map(x.map(([id, parent_id, role]) => [id, { id, parent_id, role }]));
           const ids = (list) => list.map((message) => message.id);
           return { path: ids(m.pathTo(messages, 'u2')), none: ids(m.pathTo(messages, 'nothing')),
             newest: [null, 'u1', 'a1'].map((id) => m.newestLeaf(messages, id)),
             versions: ['a2', 'u3'].map((id) => m.versionsOf(messages, messages.get(id))) };""",
        rows,
    )
    assert outcome == {
        "path": ["u1", "a1", "u2"],
        "none": [],
        "newest": ["u3", "a2", "u2"],
        "versions": [{"ids": ["a1", "a2"], "index": 1}, {"ids": ["u1", "u3"], "index": 1}],
    }


def test_a_circle_of_parents_does_not_hang_the_page(call: Call) -> None:
    code = """const messages = new Map([['a', { id: 'a', parent_id: 'b' }],
                ['b', { id: 'b', parent_id: 'a' }]]);
              return [m.pathTo(messages, 'a').length, m.newestLeaf(messages, 'a')]"""
    assert call("chat/tree.js", code)[0] == 2


@pytest.mark.parametrize(
    ("ranges", "found"),
    [
        ([[0, 2]], ["결제"]),
        ([[3, 5], [0, 2]], ["결제", "오류"]),
        ([[0, 4], [2, 5]], ["결제 오", "류"]),
        ([[4, 99]], ["류"]),
        ([[5, 5], [9, 12]], []),
    ],
)
def test_found_words_are_marked(call: Call, ranges: list[list[int]], found: list[str]) -> None:
    parts = call("chat/search.js", "return m.marked('결제 오류', x)", ranges)
    assert "".join(part["text"] for part in parts) == "결제 오류"
    assert [part["text"] for part in parts if part["found"]] == found


@pytest.mark.parametrize(
    ("preferred", "spoken", "language"),
    [
        ("en", ["ko"], "en"),
        (None, ["en-US", "ko"], "en"),
        (None, ["fr", "ko-KR"], "ko"),
        (None, ["fr"], "ko"),
        (None, [], "ko"),
        ("xx", ["en"], "en"),
    ],
)
def test_language_to_begin_with(call: Call, preferred: str | None, spoken: list[str], language: str) -> None:
    assert call("shell/i18n.js", "return m.chooseLanguage(x[0], x[1])", [preferred, spoken]) == language


@pytest.mark.parametrize(
    ("word", "pair", "form"),
    [
        ("렌터카", "을(를)", "를"),
        ("메일", "을(를)", "을"),
        ("서울", "(으)로", "로"),
        ("부산", "(으)로", "으로"),
        ("제주", "과(와)", "와"),
        ("버전 3", "은(는)", "은"),
        ("버전 2", "이(가)", "가"),
        ("‘수학’", "은(는)", "은"),
        ("a.pdf", "을(를)", "을(를)"),
        ("", "을(를)", "을(를)"),
    ],
)
def test_particles_fit_the_word_before_them(call: Call, word: str, pair: str, form: str) -> None:
    assert call("shell/particles.js", "return m.particleOf(x[0], x[1])", [word, pair]) == form


def test_times_among_arguments_are_said_as_people_say_them(call: Call) -> None:
    given = {"start": "2026-11-24T15:00", "day": "2026-11-24", "code": "2026-11-24T15:00 or later"}
    told = call("chat/skills.js", "return m.argumentsInWords('none', 'none', x)", given)
    said = {one["name"]: one["text"] for one in told}
    assert "T" not in said["start"]
    assert re.search(r"3:00|15:00", said["start"])
    assert ":" not in said["day"]
    assert said["code"] == given["code"]


def test_days_without_use_are_there_too(call: Call) -> None:
    row = {"day": "2026-03-01", "requests": 1, "prompt_tokens": 2, "completion_tokens": 3}
    days = call("settings/usage.js", "return m.perDay(x, 3, new Date('2026-03-02T12:00:00Z'))", [row, row])
    assert [(day["day"], day["requests"], day["prompt"]) for day in days] == [
        ("2026-02-28", 0, 0),
        ("2026-03-01", 2, 4),
        ("2026-03-02", 0, 0),
    ]


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("회의 / 요약: 1?", "회의 요약 1"),
        ("..", "malmoi"),
        ("", "malmoi"),
        ("가" * 80, "가" * 60),
        ("a\u0000b", "a b"),
    ],
)
def test_titles_as_file_names(call: Call, title: str, name: str) -> None:
    assert call("chat/export.js", "return m.fileName(x).replace(/ +/g, ' ')", title) == name


STAGES = [
    (0, "routed", {"skill": "cars", "operation": "book", "choices": []}),
    (1, "planned", {"skill": "cars", "operation": "book", "arguments": {"id": "A"}}),
    (2, "confirm", {"call_id": "c1", "skill": "cars", "operation": "book", "arguments": {"id": "A"}}),
    (3, "ended", {"reason": "confirm", "seconds": 1.5, "prompt_tokens": 7, "completion_tokens": 1}),
    (5, "called", {"call_id": "c1", "skill": "cars", "operation": "book", "arguments": {"id": "A"}}),
    (6, "observed", {"call_id": "c1", "is_error": False, "text": "{}", "said": "됐습니다."}),
    (7, "text", {"text": "됐", "source": "skill"}),
    (7, "text", {"text": "습니다.", "source": "skill"}),
    (8, "ended", {"reason": "answered", "seconds": 0.5, "prompt_tokens": 9, "completion_tokens": 2}),
]


@pytest.mark.parametrize(
    ("count", "reason", "waits", "kinds", "seconds"),
    [
        (4, "confirm", "c1", ["route", "plan", "call"], 1.5),
        (5, "", None, ["route", "plan", "call"], 1.5),
        (9, "answered", None, ["route", "plan", "call"], 2),
    ],
)
def test_stages_of_a_run_add_up(
    call: Call, count: int, reason: str, waits: str | None, kinds: list[str], seconds: float
) -> None:
    stages = [{"number": number, "kind": kind, "data": data} for number, kind, data in STAGES[:count]]
    found = call(
        "chat/runs.js",
        """const kept = [...x, x[0]].reduce((stages, one) => m.withStage(stages, one), []);
           const story = m.storyOf(kept);
           return { reason: story.reason, waits: m.waitingCall(story)?.id ?? null, calls: story.calls.length,
             kinds: story.order.map((one) => one.kind), seconds: story.seconds, tokens: story.tokens,
             text: kept.filter((one) => one.kind === 'text').map((one) => one.data.text) };""",
        stages,
    )
    assert (found["reason"], found["waits"], found["kinds"]) == (reason, waits, kinds)
    assert (found["calls"], found["seconds"]) == (1, seconds)
    assert found["text"] == (["됐습니다."] if count == 9 else [])


def test_words_and_formulas_of_a_card(call: Call) -> None:
    text = r"값은 $x$, $$d = \frac{1}{2}$$ 그리고 $5 <b>"
    assert call("chat/math-text.js", "return m.partsOf(x)", text) == [
        {"words": "값은 "},
        {"tex": "x", "display": False},
        {"words": ", "},
        {"tex": r"d = \frac{1}{2}", "display": True},
        {"words": " 그리고 $5 <b>"},
    ]
