"""What a child process may know of this one."""

import os


def child_environment(**changes: str) -> dict[str, str]:
    """This process's variables for a child, without our own settings: they may hold a database's password."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MALMOI_")}
    return {**kept, **changes}
