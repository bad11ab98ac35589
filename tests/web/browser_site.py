"""A running server with a scripted engine, and pages that remember what went wrong on them."""

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI
from playwright.sync_api import Browser, BrowserContext, Page

from malmoi.apps.chat import ChatApp
from malmoi.apps.redteam import RedteamApp
from malmoi.apps.users import UsersApp
from malmoi.engine.base import Engine
from malmoi.engine.scripted import Rule, ScriptedEngine
from malmoi.serve.app import create_app
from malmoi.serve.server import serve
from malmoi.serve.settings import HttpSettings, ModelSettings, ServeSettings, UserSettings

DEMO = (Path(__file__).parent / "demo_reply.md").read_text(encoding="utf-8")
DEMO_EN = (Path(__file__).parent / "demo_reply_en.md").read_text(encoding="utf-8")
RULES = (
    Rule(contains="proverb", reasoning="First the meaning.", reply=DEMO_EN, chunk_tokens=7),
    Rule(contains="천천히", reply="하나 둘 셋 넷 다섯 여섯 일곱 여덟 아홉 열 " * 20, hold_after=12),
    Rule(contains="반이다", reasoning="속담의 뜻을 먼저 살핀다.", reply=DEMO, chunk_tokens=7),
    Rule(contains="실패", reply="여기까지는", fail_after=2),
    Rule(when=".", reply="반갑습니다. 오늘은 결제 이야기를 해 봅시다."),
)


@dataclass
class Site:
    """A running server."""

    url: str
    engine: ScriptedEngine
    loop: asyncio.AbstractEventLoop
    stop: asyncio.Event
    thread: threading.Thread

    def release(self) -> None:
        """Let held streams go on."""
        self.loop.call_soon_threadsafe(self.engine.release)

    def close(self) -> None:
        """Stop the server, as a first signal would."""
        if not self.thread.is_alive():
            return
        self.release()
        self.loop.call_soon_threadsafe(self.stop.set)
        self.thread.join(timeout=20)
        assert not self.thread.is_alive()


def start_site(
    home: Path,
    rules: Sequence[Rule],
    port: int = 0,
    model: Path | None = None,
    more: Mapping[str, Engine] | None = None,
    user_models: tuple[str, ...] = (),
    change: Callable[[FastAPI], None] = lambda app: None,
) -> Site:
    """Start a server in a thread of its own and wait until it answers.

    Args:
        home: The server's home directory.
        rules: What the scripted engine answers.
        port: Where to listen; 0 takes any free port.
        model: A GGUF file to answer as the model `standard` in place of the scripted engine.
        more: Further engines beside the scripted one, by name.
        user_models: Models of users that are served.
        change: What is done to the application before it starts.
    """
    engine = ScriptedEngine(rules, name="scripted")
    engines: dict[str, Engine] = {"scripted": engine, **(more or {})}
    http = HttpSettings(port=port, shutdown_timeout=1)
    models = ModelSettings(default="scripted")
    if model is not None:
        engines = {}
        models = ModelSettings(default="standard", remote={"standard": f"path:{model}"})
    settings = ServeSettings(home=home, http=http, models=models, users=UserSettings(models=user_models))
    ready: Future[tuple[str, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def run() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        app = create_app(settings, apps=[ChatApp(), RedteamApp(), UsersApp()], engines=engines)
        change(app)
        await serve(app, http, on_ready=lambda url: ready.set_result((url, loop, stop)), stop=stop)

    def work() -> None:
        try:
            asyncio.run(run())
        except BaseException as error:
            if not ready.done():
                ready.set_exception(error)
            raise

    thread = threading.Thread(target=work, name="site", daemon=True)
    thread.start()
    url, loop, stop = ready.result(timeout=50)
    return Site(url, engine, loop, stop, thread)


@dataclass
class Pages:
    """Opens pages, and remembers what went wrong on any of them."""

    browser: Browser
    site: Site
    contexts: list[BrowserContext] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def __call__(
        self,
        *,
        locale: str = "ko-KR",
        scheme: Any = "light",
        width: int = 1280,
        height: int = 800,
        **more: Any,
    ) -> Page:
        """A page in a fresh context, at no address yet."""
        context = self.browser.new_context(
            locale=locale,
            color_scheme=scheme,
            viewport={"width": width, "height": height},
            base_url=self.site.url,
            **more,
        )
        context.set_default_timeout(10_000)
        self.contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        page.on("dialog", lambda dialog: self.faults.append(f"dialog: {dialog.message}"))
        page.on("console", lambda message: self._on_console(message.type, message.text))
        page.on("request", lambda request: self._on_request(request.url))
        return page

    def _on_console(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and not any(known in text for known in self.expected):
            self.faults.append(f"console {kind}: {text}")

    def _on_request(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob") and f"{parts.scheme}://{parts.netloc}" != self.site.url:
            self.faults.append(f"request to another server: {url}")


def until(page: Page, expression: str, arg: object = None) -> None:
    """Wait until an expression is true in the page.

    Playwright's own `wait_for_function` evaluates text inside the page, which the page's security policy
    forbids, and rightly so.
    """
    deadline = time.monotonic() + 15
    while not page.evaluate(expression, arg):
        assert time.monotonic() < deadline, f"never true: {expression}"
        page.wait_for_timeout(50)
