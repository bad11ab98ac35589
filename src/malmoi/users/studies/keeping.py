"""From a command's words to a finished study in the store."""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from malmoi.core.errors import InvalidInput
from malmoi.core.files import write_json, write_text
from malmoi.core.stage import Progress
from malmoi.core.store import Artifact, Store
from malmoi.users.logs import load_logs
from malmoi.users.studies.lmrec import StudySettings, run_study, settings_for
from malmoi.users.studies.page import render_page


def keep_study(
    values: Mapping[str, Any],
    logs: Artifact,
    *,
    store: Store,
    ratios: str,
    overrides: Sequence[str],
    name: str,
    home: Path,
    progress: Progress,
) -> tuple[Path, dict[str, Any]]:
    """Run a study and keep report.json and page.html; gives their folder and the report.

    Half-done work lies under `home/store/work` by what was asked, and goes away at the end.

    Args:
        values: of `StudySettings`.
        logs: an artifact of kind logs.
        store: where the report goes.
        ratios: shares, divided by commas.
        overrides: KEY=VALUE, settings of LMRec.
        name: of the report.
        home: Malmoi's home.
        progress: shows every fit.

    Raises:
        MalmoiError: a word is not understood, or a fit fails.
    """
    settings = StudySettings.model_validate({**values, "ratios": _shares(ratios)})
    settings = settings_for(settings, dict(map(_override, overrides)))
    asked = json.dumps([settings.model_dump(mode="json"), logs.digest], sort_keys=True)
    work = home / "store" / "work" / f"study-{hashlib.sha256(asked.encode()).hexdigest()[:16]}"
    work.mkdir(parents=True, exist_ok=True)
    report = run_study(settings, load_logs(logs.path), work=work, home=home, progress=progress)
    with store.new_artifact("report", name, inputs=[logs.id], metadata={"study": report["study"]}) as out:
        write_json(out / "report.json", report)
        write_text(out / "page.html", render_page(report))
    shutil.rmtree(work, ignore_errors=True)
    return store.artifacts("report")[-1].path, report


def _shares(text: str) -> tuple[float, ...]:
    try:
        found = tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError:
        found = (-1.0,)
    if any(not 0 <= share <= 1 for share in found):
        raise InvalidInput(f"--ratios {text!r} is no list of shares.", fix="Write it as 0,0.5,0.7.")
    return found


def _override(text: str) -> tuple[str, Any]:
    key, sign, value = text.partition("=")
    if not sign:
        raise InvalidInput(f"--set {text!r} has no value.", fix="Write it as num_steps=500.")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value
