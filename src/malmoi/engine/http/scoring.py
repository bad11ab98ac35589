"""Scores from `/completions` with `echo`: the upstream tells the log-probability of each prompt token."""

from typing import Any

from malmoi.core.errors import EngineError
from malmoi.engine.base import Score
from malmoi.engine.http.connection import Connection


async def score_pair(connection: Connection, model: str, context: str, continuation: str) -> Score:
    """The log-probability of `continuation` after `context`.

    Spaces at the end of the context belong to the continuation, since that is how tokenisers cut (so does
    lm-eval-harness). A token that lies across the boundary counts as the continuation's.

    Raises:
        EngineError: the upstream did not score its prompt.
    """
    stripped = context.rstrip()
    continuation = context[len(stripped) :] + continuation
    whole = stripped + continuation
    body = {"model": model, "prompt": whole, "max_tokens": 1, "temperature": 0, "echo": True, "logprobs": 1}
    answer = await connection.post_json("/completions", body)
    try:
        logprobs = answer["choices"][0]["logprobs"]
        starts, values = logprobs["text_offset"], logprobs["token_logprobs"]
        tops = logprobs["top_logprobs"]
        ends = [*starts[1:], len(whole)]
        places = [
            n
            for n, (start, end) in enumerate(zip(starts, ends, strict=True))
            if start < len(whole) and end > len(stripped)
        ]
        chosen = [_number(values[place]) for place in places if place > 0 or stripped]
        best = [max(map(_number, tops[place].values())) for place in places if place > 0 or stripped]
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise EngineError("the upstream did not score its prompt.") from error
    greedy = all(value >= top for value, top in zip(chosen, best, strict=True))
    return Score(logprob=sum(chosen), token_logprobs=tuple(chosen), is_greedy=greedy)


def _number(value: Any) -> float:
    if isinstance(value, int | float):
        return float(value)
    raise TypeError(f"{value!r} is no log-probability")
