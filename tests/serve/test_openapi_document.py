"""The OpenAPI document against the server: nothing, fitting or not, gets a 5xx or an undescribed answer."""

import subprocess
import sys
from pathlib import Path

import pytest
from server_process import started

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
# Accounts and sessions get a server of their own: a password that is set there closes it to everybody else.
PEOPLE = "^/api/(accounts|session)"
# A download of a real model would leave this machine.
GROUPS = {
    "apis": ["--exclude-path-regex", f"download|{PEOPLE}"],
    "people": ["--include-path-regex", PEOPLE],
}


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("group", GROUPS)
def test_schemathesis_finds_no_fault(home: Path, group: str, tmp_path: Path) -> None:
    with started(home, shutdown_timeout=1) as server:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json"),
                *("-H", "Authorization: Bearer anybody"),  # as programs do: no CSRF token is needed then
                *("--checks", CHECKS, "--phases", "coverage,fuzzing", "--max-examples", "5"),
                *("--generation-deterministic", "--suppress-health-check", "all", "--no-color"),
                *GROUPS[group],
            ],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-1000:]
