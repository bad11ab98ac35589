import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from malmoi.core.morphemes import MorphemeAnalyzer, content_terms

# A stand-in for the child: it answers each text by its words, and obeys a few of them.
FAKE = """
import json, os, sys, time
for line in sys.stdin:
    texts = json.loads(line)["texts"]
    joined = " ".join(texts)
    if "죽음" in joined and not os.path.exists(sys.argv[1]):
        open(sys.argv[1], "w").close()
        os._exit(1)
    if "늘죽음" in joined:
        os._exit(1)
    if "헛소리" in joined:
        print("nonsense", flush=True)
        continue
    if "멈춤" in joined:
        time.sleep(60)
    print(json.dumps({"terms": [text.split() for text in texts]}), flush=True)
"""


@pytest.fixture
async def open_fake(tmp_path: Path) -> AsyncIterator[Callable[..., MorphemeAnalyzer]]:
    script = tmp_path / "fake.py"
    script.write_text(FAKE, encoding="utf-8")
    opened: list[MorphemeAnalyzer] = []

    def open_one(**options: float) -> MorphemeAnalyzer:
        analyzer = MorphemeAnalyzer(command=(sys.executable, str(script), str(tmp_path / "died")), **options)
        opened.append(analyzer)
        return analyzer

    yield open_one
    for analyzer in opened:
        await analyzer.close()


async def gone(pid: int) -> None:
    async with asyncio.timeout(10):
        while Path(f"/proc/{pid}").exists():
            await asyncio.sleep(0.01)


def test_terms_are_nouns_roots_and_long_stems() -> None:
    tokens = [
        SimpleNamespace(form=form, tag=tag)
        for form, tag in [
            ("결제", "NNG"),
            ("를", "JKO"),
            ("도와주", "VV"),
            ("보", "VV"),
            ("고", "EC"),
            ("API", "SL"),
            ("3", "SN"),
            (".", "SF"),
        ]
    ]
    assert content_terms(tokens) == ["결제", "도와주", "api", "3"]


async def test_the_child_starts_at_the_first_use_and_is_used_again(
    open_fake: Callable[..., MorphemeAnalyzer],
) -> None:
    analyzer = open_fake()
    assert analyzer.pid is None
    assert await analyzer.analyze(["가 나", "다"]) == [["가", "나"], ["다"]]
    pid = analyzer.pid
    assert pid is not None
    assert await asyncio.gather(*(analyzer.analyze([f"글{n}"]) for n in range(5))) == [
        [[f"글{n}"]] for n in range(5)
    ]
    assert analyzer.pid == pid


async def test_text_without_korean_needs_no_child(open_fake: Callable[..., MorphemeAnalyzer]) -> None:
    analyzer = open_fake()
    assert await analyzer.analyze(["plain English", ""]) == [[], []]
    assert analyzer.pid is None


async def test_an_idle_child_ends(open_fake: Callable[..., MorphemeAnalyzer]) -> None:
    analyzer = open_fake(idle_seconds=0.05)
    await analyzer.analyze(["가"])
    pid = analyzer.pid
    assert pid is not None
    await gone(pid)
    assert await analyzer.analyze(["나"]) == [["나"]]  # and is started again


async def test_a_killed_child_is_replaced(open_fake: Callable[..., MorphemeAnalyzer]) -> None:
    analyzer = open_fake()
    await analyzer.analyze(["가"])
    assert analyzer.pid is not None
    os.kill(analyzer.pid, signal.SIGKILL)
    assert await analyzer.analyze(["나"]) == [["나"]]


async def test_a_child_that_dies_over_a_text_gets_one_more_try(
    open_fake: Callable[..., MorphemeAnalyzer],
) -> None:
    assert await open_fake().analyze(["죽음 뒤"]) == [["죽음", "뒤"]]


async def test_after_several_deaths_there_are_no_morphemes_and_one_warning(
    open_fake: Callable[..., MorphemeAnalyzer], caplog: pytest.LogCaptureFixture
) -> None:
    analyzer = open_fake()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert await analyzer.analyze(["늘죽음"]) == [[]]
    assert not analyzer.is_available
    assert analyzer.pid is None
    assert len(caplog.records) == 1


@pytest.mark.parametrize("text", ["헛소리", "멈춤"])
async def test_nonsense_and_silence_give_no_morphemes(
    open_fake: Callable[..., MorphemeAnalyzer], text: str
) -> None:
    analyzer = open_fake(timeout=0.5)
    assert await analyzer.analyze([text]) == [[]]
    assert await analyzer.analyze(["가"]) == [["가"]]


async def test_a_cancelled_request_does_not_answer_the_next(
    open_fake: Callable[..., MorphemeAnalyzer],
) -> None:
    analyzer = open_fake()
    await analyzer.analyze(["가"])
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(analyzer.analyze(["멈춤"]), 0.2)  # the child sleeps by then
    assert await analyzer.analyze(["나"]) == [["나"]]


async def test_close_ends_the_child(open_fake: Callable[..., MorphemeAnalyzer]) -> None:
    analyzer = open_fake()
    await analyzer.analyze(["가"])
    pid = analyzer.pid
    assert pid is not None
    await analyzer.close()
    assert not Path(f"/proc/{pid}").exists()


async def test_without_kiwi_there_are_no_morphemes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("malmoi.core.morphemes.find_spec", lambda name: None)
    analyzer = MorphemeAnalyzer()
    with caplog.at_level(logging.WARNING):
        assert await analyzer.analyze(["결제"]) == [[]]
        assert await analyzer.analyze(["결제"]) == [[]]
    assert [record.message for record in caplog.records] == [
        "Korean text is searched without morphemes: kiwipiepy is not installed."
    ]


async def test_the_child_dies_with_its_parent() -> None:
    program = textwrap.dedent(
        """
        import asyncio
        from malmoi.core.morphemes import MorphemeAnalyzer

        async def main():
            analyzer = MorphemeAnalyzer()
            await analyzer.analyze(["결제"])
            print(analyzer.pid, flush=True)
            await asyncio.sleep(60)

        asyncio.run(main())
        """
    )
    pytest.importorskip("kiwipiepy")
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert Path(f"/proc/{child}").exists()
        parent.kill()
    await gone(child)


async def test_kiwi_itself() -> None:
    pytest.importorskip("kiwipiepy")
    analyzer = MorphemeAnalyzer()
    try:
        terms = await analyzer.analyze(
            ["결제가 안 돼서 보고서를 작성했습니다.", "plain", "재난안전 문자 3통"]
        )
    finally:
        await analyzer.close()
    assert terms[0] == ["결제", "보고서", "작성"]
    assert terms[1] in ([], ["plain"])
    assert terms[2][:3] == ["재난", "안전", "문자"]


def test_the_module_is_light_to_import() -> None:
    program = (
        "import sys, malmoi.core.morphemes; "
        "assert not {'kiwipiepy', 'numpy', 'torch'} & set(sys.modules), sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
