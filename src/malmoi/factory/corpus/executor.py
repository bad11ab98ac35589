"""Running datatrove pipelines on this machine: restartable, silent, and without waiting for the dead.

datatrove's own local executor logs to the terminal, and its pool waits for ever when the system kills a
worker (out of memory). This one runs the same pipelines and keeps the same completion marks, so that they
can move to datatrove's executors for Slurm and Ray as they are.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor as Pool
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

from datatrove.executor.local import LocalPipelineExecutor
from datatrove.pipeline.base import PipelineStep
from datatrove.utils.stats import PipelineStats

from malmoi.core.child import end_with_parent
from malmoi.core.errors import MalmoiError


class CorpusExecutor(LocalPipelineExecutor):
    """Runs one pipeline over `tasks` ranks; a rank that has its completion mark is not run again.

    Args:
        pipeline: datatrove steps.
        tasks: number of ranks.
        folder: where the completion marks are kept.
        pool: worker processes; None: this process.
        done: called in this process after each rank.
    """

    def __init__(
        self,
        pipeline: Sequence[PipelineStep],
        *,
        tasks: int,
        folder: Path,
        pool: Pool | None = None,
        done: Callable[[int], None] = lambda rank: None,
    ) -> None:
        super().__init__(list(pipeline), tasks=tasks, workers=1, logging_dir=str(folder))
        self._folder = folder
        self._pool = pool
        self._done = done

    def run(self) -> None:
        """Run all ranks that are not complete.

        Raises:
            MalmoiError: a worker died, or what a step raised.
        """
        waiting = self.get_incomplete_ranks()
        for rank in sorted(set(range(self.tasks)) - set(waiting)):
            self._done(rank)
        if self._pool is None:
            for rank in waiting:
                run_rank(deepcopy(self.pipeline), rank, self.tasks)
                self._finish(rank)
            return
        futures: dict[Future[None], int] = {
            self._pool.submit(run_rank, self.pipeline, rank, self.tasks): rank for rank in waiting
        }
        try:
            for future in as_completed(futures):
                future.result()
                self._finish(futures[future])
        except BrokenProcessPool as error:
            raise MalmoiError(
                "a worker process of the corpus stage was killed, most likely because memory ran out.",
                fix="Run it again with fewer workers (num_workers = 1); what is done is kept.",
            ) from error
        finally:
            for future in futures:
                future.cancel()

    def _finish(self, rank: int) -> None:
        (self._folder / "completions").mkdir(parents=True, exist_ok=True)
        self.mark_rank_as_completed(rank)
        self._done(rank)

    def _run_for_rank(self, rank: int, local_rank: int = 0, node_rank: int = -1) -> PipelineStats:
        run_rank(deepcopy(self.pipeline), rank, self.tasks)
        return PipelineStats()


def run_rank(pipeline: Sequence[PipelineStep], rank: int, world_size: int) -> None:
    """Pipe the documents of one rank through all steps."""
    data: Any = None
    for step in pipeline:
        data = step(data, rank, world_size)
    for _ in data or ():
        pass


@contextmanager
def open_pool(workers: int) -> Iterator[Pool | None]:
    """Worker processes that end with this one; None for a single worker, which is this process."""
    if workers == 1:
        yield None
        return
    import multiprocessing

    # forkserver: this process has threads (progress bars), so it must not be forked itself.
    pool = ProcessPoolExecutor(
        workers, mp_context=multiprocessing.get_context("forkserver"), initializer=end_with_parent
    )
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
