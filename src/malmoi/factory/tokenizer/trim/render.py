"""The trimming report as text for a terminal."""

from collections.abc import Iterator

from malmoi.factory.tokenizer.trim.measure import middle
from malmoi.factory.tokenizer.trim.report import Growth, TrimReport


def render_report(report: TrimReport) -> str:
    """A few tables; every sentence follows from the figures."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: TrimReport) -> Iterator[str]:
    yield f"{report.model}: {report.vocabulary_before:,} -> {report.vocabulary_after:,} tokens"
    yield (
        f"  kept: {report.required:,} needed by every text, {report.by_languages:,} by --keep-languages, "
        f"{report.by_data:,} by the data, {report.by_order:,} by the model's own order"
    )
    before, after = report.weights_bytes_before / 1e6, report.weights_bytes_after / 1e6
    yield f"  weights: {before:,.1f} -> {after:,.1f} MB ({after / before:.0%})"
    if report.speed_before and report.speed_after:
        slow, fast = middle(report.speed_before), middle(report.speed_after)
        spread = f"{min(report.speed_before):.1f}-{max(report.speed_before):.1f} -> "
        spread += f"{min(report.speed_after):.1f}-{max(report.speed_after):.1f}"
        yield f"  decoding: {slow:.1f} -> {fast:.1f} tokens/s ({fast / slow:.2f} times; repeats {spread})"
    yield ""
    yield (
        f"  Data: {report.documents:,} documents, {report.data_bytes / 1e6:,.1f} MB, "
        f"{report.held_out_documents:,} of them held out"
    )
    rows: list[tuple[str, ...]] = [("", "tokens before", "after", "growth", "tokens kept")]
    rows.append(_row("data", report.data))
    rows.append(_row("held out", report.held_out))
    if report.held_out_documents:
        count = report.held_out_documents
        rows.append(
            (
                "a document",
                f"{report.held_out.before / count:,.1f}",
                f"{report.held_out.after / count:,.1f}",
                f"{report.held_out.ratio:.3f}",
                "",
            )
        )
    rows.extend(_row(f"probe: {name}", growth) for name, growth in report.probes.items())
    yield from _table(rows)
    yield ""
    counts: list[tuple[str, ...]] = [("script", "before", "after", "kept")]
    counts.extend(
        (name, f"{count.before:,}", f"{count.after:,}", f"{count.after / count.before:.0%}")
        for name, count in report.scripts.items()
        if count.before
    )
    yield from _table(counts)
    yield ""
    if report.lost:
        yield f"  Lost in part: {', '.join(report.lost)}. Every text still works, but takes more tokens."
        yield "  To keep them: --keep-languages, --also with texts of these kinds, or a larger --size."
    else:
        yield "  No probe takes clearly more tokens than before."
    for note in report.notes:
        yield f"  Note: {note}"


def _row(name: str, growth: Growth) -> tuple[str, ...]:
    return name, f"{growth.before:,}", f"{growth.after:,}", f"{growth.ratio:.3f}", f"{growth.kept_share:.2%}"


def _table(rows: list[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        first, *others = row
        cells = [first.ljust(widths[0])]
        cells.extend(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        yield "  " + "  ".join(cells).rstrip()
