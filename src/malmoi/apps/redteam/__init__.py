"""The red-team workbench: attack several models at once, score their replies blind, keep what was learnt."""

from malmoi.apps.redteam.app import RedteamApp

app = RedteamApp()
"""What the entry point `malmoi.apps` names."""

__all__ = ["RedteamApp", "app"]
