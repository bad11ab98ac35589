"""The tokenizer report as an HTML page, and tokens as people can read them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from malmoi.core.files import write_json, write_text
from malmoi.factory.tokenizer.report import TokenizerReport
from malmoi.factory.tokenizer.tokenizer import Tokenizer

_SAMPLE = 300  # characters of each slice that the page shows cut into tokens


def write_report(
    report: TokenizerReport,
    folder: Path,
    *,
    tokenizer: Tokenizer,
    texts: Mapping[str, Sequence[str]],
    notes: Sequence[str] = (),
) -> None:
    """Write report.json and report.html into a folder.

    Args:
        report: the figures.
        folder: where the files go.
        tokenizer: the first one of the report, for samples.
        texts: the documents that were measured.
        notes: shown at the top.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "report.json", {**report.to_json(), "notes": list(notes)})
    samples = {
        name: [text for _, text in pieces(tokenizer, docs[0][:_SAMPLE])] for name, docs in texts.items()
    }
    write_text(folder / "report.html", render_report(report, samples=samples, notes=notes))


def render_report(
    report: TokenizerReport, *, samples: Mapping[str, Sequence[str]], notes: Sequence[str] = ()
) -> str:
    """The page.

    Args:
        report: the figures.
        samples: slice -> tokens of the beginning of a document.
        notes: shown at the top.
    """
    from jinja2 import Environment, PackageLoader, select_autoescape

    from malmoi.factory.plots import bar_plot

    plots = [
        bar_plot(
            {label: scores[name].bytes_per_token for label, scores in report.scores.items()},
            title=f"{name}: bytes a token",
            x_label="bytes a token (longer: shorter sequences)",
        )
        for name in report.slices
    ]
    crossed = {
        label: 100 * share
        for label, scores in report.scores.items()
        if "ko" in scores and (share := scores["ko"].crossed) is not None
    }
    if crossed:
        plots.append(bar_plot(crossed, title="Morpheme boundaries crossed", x_label="% (shorter is better)"))
    slices = [
        {
            "name": name,
            "of": of,
            "sample": samples.get(name, ()),
            "rows": [
                {"label": label, "vocab": report.vocab_sizes[label], "score": scores[name]}
                for label, scores in report.scores.items()
            ],
        }
        for name, of in report.slices.items()
    ]
    environment = Environment(
        loader=PackageLoader("malmoi.factory.tokenizer", ""), autoescape=select_autoescape(["html"])
    )
    template = environment.get_template("report.html")
    return template.render(slices=slices, plots=plots, notes=notes, first=next(iter(report.vocab_sizes), ""))


def pieces(tokenizer: Tokenizer, text: str) -> list[tuple[int, str]]:
    r"""The ids of a text with what they stand for; parts of characters are written as \xNN."""
    result = []
    for number in tokenizer.encode(text):
        raw = tokenizer.token_bytes(number)
        try:
            result.append((number, raw.decode()))
        except UnicodeDecodeError:
            result.append((number, "".join(f"\\x{byte:02x}" for byte in raw)))
    return result
