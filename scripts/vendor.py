"""Refresh the browser libraries under src/malmoi/web/vendor from the npm packages that vendor.toml names.

    python scripts/vendor.py            fetch every package, write its files, check them against vendor.toml
    python scripts/vendor.py --check    check the files that are there; needs neither npm nor a network
    python scripts/vendor.py --update   fetch, write, and record the new checksums in vendor.toml

The libraries are committed, so that neither users nor tests need npm. Files are copied as they are, except
that a style sheet marked `woff2_only` loses its references to older font formats, which are not shipped.
"""

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path
from typing import Any

VENDOR = Path(__file__).resolve().parent.parent / "src" / "malmoi" / "web" / "vendor"
OLDER_FONTS = re.compile(rb',url\([^)]*\.(?:woff|ttf)\) format\("(?:woff|truetype)"\)')


def digest(data: bytes) -> str:
    """Return the sha256 of `data` in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def folder_of(package: dict[str, Any]) -> Path:
    """Return the folder of one package; its name carries the version, so that it can be cached for ever."""
    name = package["name"].removeprefix("@").replace("/", "-")
    return VENDOR / f"{name}-{package['version']}"


def fetch(package: dict[str, Any], temporary: Path) -> dict[str, bytes]:
    """Download one package with `npm pack` and return the files that vendor.toml lists, by target name."""
    spec = f"{package['name']}@{package['version']}"
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit("npm is not installed; it is needed only to refresh the vendored libraries.")
    packed = subprocess.run(
        [npm, "pack", "--silent", spec], cwd=temporary, check=True, capture_output=True, text=True
    )
    found: dict[str, bytes] = {}
    with tarfile.open(temporary / packed.stdout.strip().splitlines()[-1]) as archive:
        for item in package["files"]:
            member = archive.extractfile(f"package/{item['from']}")
            if member is None:
                raise SystemExit(f"{spec} has no file {item['from']}; correct vendor.toml.")
            data = member.read()
            found[item["to"]] = OLDER_FONTS.sub(b"", data) if item.get("woff2_only") else data
    return found


def problems(packages: list[dict[str, Any]]) -> list[str]:
    """Compare the files on disk with vendor.toml; return one line per difference."""
    found, listed = [], {VENDOR / "vendor.toml"}
    for package in packages:
        for item in package["files"]:
            path = folder_of(package) / item["to"]
            listed.add(path)
            if not path.is_file():
                found.append(f"missing: {path.relative_to(VENDOR)}")
            elif digest(path.read_bytes()) != item["sha256"]:
                found.append(f"changed: {path.relative_to(VENDOR)}")
    extra = [path for path in VENDOR.rglob("*") if path.is_file() and path not in listed]
    return found + [f"not listed: {path.relative_to(VENDOR)}" for path in sorted(extra)]


def record(packages: list[dict[str, Any]]) -> None:
    """Write the checksums of the files on disk into vendor.toml, keeping everything else as it is."""
    manifest = VENDOR / "vendor.toml"
    sections = manifest.read_text(encoding="utf-8").split("[[package]]")
    for number, package in enumerate(packages, start=1):
        for item in package["files"]:
            new = digest((folder_of(package) / item["to"]).read_bytes())
            line = re.escape(f'from = "{item["from"]}", to = "{item["to"]}"')
            sections[number] = re.sub(
                rf'({line}.*?sha256 = ")[^"]*"', rf'\g<1>{new}"', sections[number], count=1
            )
    manifest.write_text("[[package]]".join(sections), encoding="utf-8")


def main() -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="only check the files that are there")
    parser.add_argument("--update", action="store_true", help="record new checksums in vendor.toml")
    arguments = parser.parse_args()
    packages = tomllib.loads((VENDOR / "vendor.toml").read_text(encoding="utf-8"))["package"]
    if not arguments.check:
        for old in VENDOR.iterdir():
            if old.is_dir():
                shutil.rmtree(old)
        for package in packages:
            with tempfile.TemporaryDirectory() as temporary:
                for name, data in fetch(package, Path(temporary)).items():
                    target = folder_of(package) / name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(data)
        if arguments.update:
            record(packages)
            packages = tomllib.loads((VENDOR / "vendor.toml").read_text(encoding="utf-8"))["package"]
    found = problems(packages)
    sys.stdout.write("".join(f"{line}\n" for line in found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
