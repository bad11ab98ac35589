"""The page of users: histories, neighbours, recommendations and why, a map, and audiences."""

from malmoi.apps.users.app import UsersApp

app = UsersApp()
"""What the entry point `malmoi.apps` names."""

__all__ = ["UsersApp", "app"]
