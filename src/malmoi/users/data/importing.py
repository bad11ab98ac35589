"""The import from end to end: files of events in, a folder of logs out.

    report = import_logs(settings, out, work)
    logs = load_logs(out)

`out/about/rejects.jsonl` holds the first bad rows, `out/about/import.json` the report.
"""

import json
from pathlib import Path

from malmoi.core.files import write_json, write_text
from malmoi.core.stage import Progress, SilentProgress
from malmoi.users.data.cleaning import clean
from malmoi.users.data.database import Database
from malmoi.users.data.report import FileReport, ImportReport, describe
from malmoi.users.data.schema import ImportSettings
from malmoi.users.data.staging import StagedFile, plan_files, stage
from malmoi.users.data.writing import write_logs
from malmoi.users.logs import load_logs


def import_logs(
    settings: ImportSettings,
    out: Path,
    work: Path,
    *,
    base: Path | None = None,
    progress: Progress | None = None,
) -> ImportReport:
    """Read all files and fill `out` with logs.

    Args:
        settings: what to read and keep.
        out: an existing empty folder.
        work: an existing folder for the database; an import that was killed goes on from what is there.
        base: folder that relative paths of the settings start from.
        progress: where it tells how far it is.

    Raises:
        InvalidInput: a file or column is missing, no row can be used, or (strict) a row is bad; the message
            names file, row, column and what to do.
        MalmoiError: there is too little memory or disk.
    """
    progress = progress or SilentProgress()
    files = plan_files(settings, base)
    with Database(work, memory=settings.memory, threads=settings.threads) as database:
        with progress.task("reading", total=len(files), unit="files") as task:
            for file in files:
                stage(database, file, settings)
                task.advance()
        dropped, noted = clean(database, files, settings, progress)
        noted |= write_logs(database, files, out, progress)
        (out / "about").mkdir(exist_ok=True)
        _write_rejects(database, files, out / "about" / "rejects.jsonl", settings)
        report = describe(
            load_logs(out), files=tuple(_file_reports(database, files)), dropped=dropped, noted=noted
        )
    write_json(out / "about" / "import.json", report.model_dump(mode="json"))
    return report


def _file_reports(database: Database, files: list[StagedFile]) -> list[FileReport]:
    rows = dict(database.rows("SELECT number, rows FROM files"))
    bad: dict[int, dict[str, int]] = {}
    for number, reason, count in database.rows(
        "SELECT file, reason, sum(rows) FROM counted GROUP BY ALL ORDER BY ALL"
    ):
        bad.setdefault(number, {})[reason] = int(count)
    return [
        FileReport(path=file.path.name, rows=rows[file.number], bad=bad.get(file.number, {}))
        for file in files
    ]


def _write_rejects(database: Database, files: list[StagedFile], path: Path, settings: ImportSettings) -> None:
    names = {file.number: str(file.path) for file in files}
    lines = [
        json.dumps({"file": names[number], "row": row, "reason": reason, "value": value}, ensure_ascii=False)
        for number, row, reason, value in database.rows(
            "SELECT file, row, reason, value FROM rejects ORDER BY ALL"
        )
        if settings.max_rejects
    ]
    write_text(path, "".join(line + "\n" for line in lines))
