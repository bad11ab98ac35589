"""What one run of skills may use."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SkillLimits:
    """Limits of calls and of runs.

    Attributes:
        skills: that may be switched on for one run.
        steps: calls in one run.
        run_seconds: of a run, the model's answer included.
        call_seconds: of one call.
        answer_bytes: of one answer of a foreign server.
        result_characters: of one result that the model reads.
        run_tokens: prompts and answers of the model in one run, together.
        arguments_characters: of the arguments of one call, as JSON.
        files: of one call.
        file_bytes: of one file.
        answer_tokens: of the model's last answer.
    """

    skills: int = 2
    steps: int = 4
    run_seconds: float = 180.0
    call_seconds: float = 30.0
    answer_bytes: int = 1024 * 1024
    result_characters: int = 6000
    run_tokens: int = 16_000
    arguments_characters: int = 20_000
    files: int = 8
    file_bytes: int = 20 * 1024 * 1024
    answer_tokens: int = 700
