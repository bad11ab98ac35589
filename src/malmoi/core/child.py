"""What a child process may know of this one."""

import os
import signal
from threading import Thread


def child_environment(**changes: str) -> dict[str, str]:
    """This process's variables for a child, without our own settings: they may hold a database's password."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MALMOI_")}
    return {**kept, **changes}


def end_with_parent() -> None:
    """Initializer of a pool's workers: leave when the main process is gone, and without a word on Ctrl+C.

    A pool's workers would wait for work for ever, and each would print a traceback. It stands here because a
    worker imports this module before it can obey, and the module is quick to import.
    """
    from multiprocessing import parent_process

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    parent = parent_process()
    assert parent is not None, "this runs in workers alone"

    def watch() -> None:
        parent.join()
        os._exit(1)

    Thread(target=watch, daemon=True).start()
