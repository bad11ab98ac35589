"""Skills that come with the platform: each a folder with its manifest `skill.toml`, and all work offline."""

from pathlib import Path


def builtin_manifests() -> list[Path]:
    """The manifests of the skills that come with the platform, by name."""
    return sorted(Path(__file__).parent.glob("*/skill.toml"))
