import re
from html.parser import HTMLParser
from typing import Any

from malmoi.factory.train.energy import EnergySettings
from malmoi.factory.train.page import MOST_SAMPLES, RunFacts, render_run_page

VOID = {"meta", "link", "br", "img", "input", "hr"}


class Page(HTMLParser):
    """What a page's elements are, and whether they are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def rows(num_steps: int = 30) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for step in range(1, num_steps + 1):
        found.append(
            {
                "step": step,
                "loss": 9.0 / step,
                "grad_norm": 1.0,
                "rate": 1.0,
                "tokens": 512 * step,
                "tokens_per_second": 1000.0,
                "mfu": 0.4,
                "seconds": 0.5,
                "joules": 120.0,
            }
        )
        found.append(
            {"step": step, "bits_per_byte": {"all": 3.0 / step, "language/ko": 2.5, "source/web": 2.4}}
        )
        found.append({"step": step, "sample": f"비가 오는 날 → {step}번째 <b>글</b>"})
    return found


FACTS = RunFacts(
    name="tiny & <small>",
    figures={"parameters": 1_234_567, "precision": "bf16", "share": 0.25},
    settings={"optim": {"optimizer": "muon", "learning_rate": None}, "prompts": ["<script>x</script>"]},
    energy_basis="assumption: 2 cores at 10 W each",
    energy=EnergySettings(grid_grams_per_kwh=400.0),
)


def test_the_page_stands_alone_and_is_well_formed() -> None:
    page = Page(render_run_page(rows(), FACTS))

    assert "script" not in page.tags
    assert "link" not in page.tags
    loaded = [value for name, value in page.attributes if name in ("src", "href")]
    assert not [value for value in loaded if not value.startswith("#")]
    assert page.tags.count("svg") == 7
    assert "h1" in page.tags


def test_text_of_the_run_stays_text() -> None:
    text = render_run_page(rows(), FACTS)

    assert "tiny &amp; &lt;small&gt;" in text
    assert "&lt;script&gt;x&lt;/script&gt;" in text
    assert "<b>글" not in text
    assert "비가 오는 날" in text


def test_figures_settings_and_slices_are_told() -> None:
    text = re.sub(r"<[^>]+>", " ", render_run_page(rows(), FACTS))
    text = " ".join(text.split())

    assert "1,234,567" in text
    assert "optim.optimizer muon" in text
    assert "language/ko 2.5000 2.5000 2.5000" in text
    assert "all 3.0000 0.1000 0.1000" in text
    assert "30 steps, 15,360 tokens, 15.0 s in steps, loss 0.3000." in text


def test_energy_names_its_assumptions() -> None:
    text = render_run_page(rows(), FACTS)

    assert "0.001 kWh (assumption: 2 cores at 10 W each), that is 0.4 g of CO2 equivalent" in text
    assert "at an assumed 400 g a kilowatt hour" in text


def test_samples_are_spread_over_the_run() -> None:
    text = render_run_page(rows(100), FACTS)
    steps = [int(number) for number in re.findall(r"→ (\d+)번째", text)]

    assert len(steps) == MOST_SAMPLES
    assert (steps[0], steps[-1]) == (1, 100)


def test_a_run_without_steps_has_a_page() -> None:
    text = render_run_page([], RunFacts(name="run"))

    Page(text)
    assert "No step has been taken yet." in text
    assert "<svg" not in text


def test_rows_of_skipped_steps_and_missing_figures_are_no_fault() -> None:
    text = render_run_page(
        [
            {"step": 1, "skipped": "its loss is nan"},
            {"step": 2, "loss": float("nan"), "rate": 1.0},
            {"step": 3},
        ],
        RunFacts(name="run"),
    )

    Page(text)


def test_numbers_that_are_none_are_left_out() -> None:
    nan, endless = float("nan"), float("inf")
    row = {
        "step": 1,
        "loss": nan,
        "grad_norm": endless,
        "tokens": 8,
        "seconds": nan,
        "joules": nan,
        "mfu": nan,
    }
    page = render_run_page([row, {"step": 2, "bits_per_byte": {"ko": nan}}], RunFacts(name="wild"))
    assert "loss nan" in page
    assert "energy" not in page.lower()
