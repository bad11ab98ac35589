"""`malmoi safety check`: what the guard thinks of a text, and why."""

import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from malmoi.cli.options import home_option


@click.command()
@click.argument("text")
@click.option(
    "--policy", default="strict", show_default=True, metavar="NAME|FILE", help="Policy to judge by."
)
@click.option("--answer", is_flag=True, help="Judge it as an answer of a model, not as a question.")
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON.")
@home_option
def check(text: str, policy: str, answer: bool, as_json: bool, home: Path) -> None:
    """Show what the guard thinks of TEXT ("-" reads standard input), with its reasons.

    Example: malmoi safety check "제 번호는 010-1234-5678이에요" --policy strict
    """
    from malmoi.assist.guard import Guard, load_policy

    text = sys.stdin.read() if text == "-" else text
    found = asyncio.run(_judge(Guard(load_policy(policy), home), text, answer))
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False, indent=2))
        return
    click.echo(f"action   {found['action']}")
    for reason in found["reasons"]:
        place = found["text"][reason["start"] : reason["end"]].strip()
        shown = place if len(place) <= 60 else place[:60] + "…"
        click.echo(f"reason   {reason['source']} -> {reason['action']} ({reason['score']:.2f}): {shown}")
    for name, score in found["scores"].items():
        click.echo(f"score    {name} {score:.2f}")
    if found["unknown"]:
        click.echo(f"unknown  {', '.join(found['unknown'])}: no classifier is installed that tells them")
    click.echo(f"becomes  {found['becomes']}")
    if found["message"] and found["message"] not in found["becomes"]:
        click.echo(f"message  {found['message']}")


async def _judge(guard: Any, text: str, answer: bool) -> dict[str, Any]:
    """The verdict as plain data."""
    from malmoi.assist.guard.sentences import sentences
    from malmoi.core.types import Chat, Message

    direction = "output" if answer else "input"
    parts = [text[start:end] for start, end in sentences(text)]
    scores: dict[str, float] = {}
    for verdict in guard.judge.judge(parts, direction):
        for name, score in verdict.scores.items():
            scores[name] = max(scores.get(name, 0.0), score)
    if answer:
        one = guard.answer(await guard.check(""))
        becomes, report = await one.whole(text), one.report
    else:
        checked = await guard.check(Chat((Message("user", text),)))
        report = checked.report
        becomes = checked.reply if checked.reply is not None else checked.prompt.messages[-1].content
    reasons = [asdict(reason) for reason in report.reasons.get(direction, ())]
    known = {name for name in scores if guard.judge.can_judge(name, direction)}
    return {
        "text": text,
        "action": report.action,
        "reasons": reasons,
        "scores": {name: round(score, 4) for name, score in scores.items() if name in known},
        "unknown": sorted(set(scores) - known),
        "becomes": becomes,
        "message": report.message,
    }
