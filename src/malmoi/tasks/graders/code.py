"""Grades for programs: an answer becomes a program with the task's tests at its end, and passes or not.

It runs in a confined child process (`core/sandbox.py`): about 50 ms a program, and it can read no file of
ours, write nothing, start nothing and reach nobody. A program could still deceive its own tests, which run in
the same process (an object that equals everything): what no benchmark of this kind can rule out.
"""

from collections.abc import Sequence

from pydantic import Field

from malmoi.core.sandbox import Limits, SandboxFailed, run
from malmoi.tasks.base import Example
from malmoi.tasks.graders.base import GraderSettings
from malmoi.tasks.graders.code_text import candidate_programs


class CodeGrader(GraderSettings):
    """1 when the program passes the example's tests.

    It reads these fields of an example: `tests`, code that raises when something is wrong; `header`, the code
    that the model was to go on with (signature and docstring; may be empty); `entry_point`, the function that
    is tested; `setup`, code to run before all else.
    """

    seconds: float = Field(default=5.0, gt=0.0)
    """Wall time of one program."""
    memory_mb: int = Field(default=512, ge=64)
    """Address space of one program."""

    def grade(self, example: Example, answer: str) -> float:
        """1 when every test passes.

        Raises:
            Unsupported: this machine cannot shut a program in; nothing is run then.
        """
        return float(not self.failure(example, answer))

    def failure(self, example: Example, answer: str) -> str:
        """Why the program does not pass; empty: it does.

        Raises:
            Unsupported: this machine cannot shut a program in; nothing is run then.
        """
        fields = example.fields
        programs = candidate_programs(
            answer, header=str(fields.get("header", "")), entry_point=str(fields.get("entry_point", ""))
        )
        setup, tests = str(fields.get("setup", "")), str(fields.get("tests", ""))
        return run_programs([f"{setup}\n{program}\n\n{tests}\n" for program in programs], self.limits())

    def limits(self) -> Limits:
        """What one program may use."""
        return Limits(
            seconds=self.seconds,
            cpu_seconds=max(1, round(self.seconds)),
            memory_bytes=self.memory_mb << 20,
            output_bytes=1 << 16,
            confined=True,
        )


def run_programs(candidates: Sequence[str], limits: Limits) -> str:
    """Run the first candidate that is Python; the reason why it failed, empty where it did not.

    Raises:
        Unsupported: this machine cannot shut a program in.
    """
    try:
        outcome = run("malmoi.core.program:run_program", {"candidates": list(candidates)}, limits=limits)
    except SandboxFailed as failed:
        return f"{failed.reason}: {failed.message}"
    if outcome.value.get("passed") is True:
        return ""
    return str(outcome.value.get("error")) or "it failed"


def pass_at_k(samples: int, passed: int, k: int) -> float:
    """The unbiased estimate of passing with one of k answers: 1 - C(n - c, k) / C(n, k).

    Chen et al. 2021 (Evaluating Large Language Models Trained on Code), equation 1, as the product that does
    not overflow.

    Args:
        samples: n, how many answers were asked for.
        passed: c, how many of them passed.
        k: how many may be tried.

    Raises:
        ValueError: k is larger than n, or c is.
    """
    if not 0 <= passed <= samples or not 1 <= k <= samples:
        raise ValueError(f"pass@{k} of {passed} passed among {samples} is not defined")
    if samples - passed < k:
        return 1.0
    missed = 1.0
    for number in range(samples - passed + 1, samples + 1):
        missed *= 1 - k / number
    return 1.0 - missed
