"""Run by test_pack: packs a corpus again and again, killed at the n-th write, until it comes through.

python pack_until_killed.py CORPUS TOKENIZER FOLDER SEED
"""

import os
import random
import signal
import sys
from pathlib import Path

from test_pack import pack  # the test's own way to call the stage

from malmoi.factory.corpus import pack_journal


def main() -> None:
    corpus, tokenizer, folder = (Path(argument) for argument in sys.argv[1:4])
    dice = random.Random(int(sys.argv[4]))
    deaths = 0
    while True:
        child = os.fork()
        if child == 0:
            kill_at(dice.randrange(1, 14) if deaths < 6 else 10**9)
            pack(corpus, tokenizer, folder / f"out-{deaths}", folder / "work", shard_megabytes=0.001)
            os._exit(0)
        dice.random()
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            print(deaths, os.waitstatus_to_exitcode(status))
            return
        deaths += 1


def kill_at(count: int) -> None:
    """Die at the `count`-th thing that changes the disk, with half of it done."""
    left = [count]

    def dying(original):  # type: ignore[no-untyped-def]
        def run(*arguments, **named):  # type: ignore[no-untyped-def]
            left[0] -= 1
            if left[0] == 0:
                if original is write:
                    files, split, name, suffix, data = arguments
                    write(files, split, name, suffix, data[: len(data) // 2 + 1])
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*arguments, **named)

        return run

    write = pack_journal.SourceFiles._write
    pack_journal.SourceFiles._write = dying(write)
    pack_journal.write_json = dying(pack_journal.write_json)
    pack_journal.os.truncate = dying(os.truncate)
    pack_journal._link = dying(pack_journal._link)


if __name__ == "__main__":
    main()
