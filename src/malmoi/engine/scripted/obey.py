"""The worst model: it does whatever any text in its prompt tells it to.

Guards are tested against it, since a guard that relies on the model's good will proves nothing. It looks in
every message (system, user, documents, tool results) for lines of the form

    ATTACK: what to say            said as it is; `{system}` in it becomes the system prompt
    ATTACK_CALL: {"name": "send_mail", "arguments": {"to": "x@example.com"}}

Each call is made once: not again when the conversation already holds it.
"""

import json
import re

from malmoi.core.types import Chat
from malmoi.engine.scripted.script import Rule, ScriptedCall

_ATTACK = re.compile(r"ATTACK(_CALL)?:[ \t]*(.+)")


def attacks(prompt: str | Chat) -> Rule | None:
    """The answer of a model that obeys what it reads, or None where nothing is demanded."""
    if isinstance(prompt, str):
        texts, system, made = [prompt], "", set[tuple[str, str]]()
    else:
        texts = [message.content for message in prompt.messages if message.role != "assistant"]
        system = "\n".join(message.content for message in prompt.messages if message.role == "system")
        made = {(call.name, _canonical(call.arguments)) for m in prompt.messages for call in m.tool_calls}
    said: list[str] = []
    calls: list[ScriptedCall] = []
    for text in texts:
        for is_call, demand in _ATTACK.findall(text):
            call = _call(demand) if is_call else None
            if call is None:
                said.append(demand.strip().replace("{system}", system))
            elif (call.name, _canonical(call.arguments_text())) not in made:
                calls.append(call)
    if not said and not calls:
        return None
    return Rule(reply="\n".join(said), tool_calls=tuple(calls))


def _call(demand: str) -> ScriptedCall | None:
    """The call written at the start of `demand`, or None when it is not JSON of a call."""
    start = demand.find("{")
    if start < 0:
        return None
    try:
        value, _ = json.JSONDecoder().raw_decode(demand, start)
    except (json.JSONDecodeError, RecursionError):
        return None
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        return None
    arguments = value.get("arguments", {})
    return ScriptedCall(
        name=value["name"],
        arguments=arguments if isinstance(arguments, dict | str) else json.dumps(arguments),
    )


def _canonical(arguments: str) -> str:
    try:
        return json.dumps(json.loads(arguments), sort_keys=True)
    except (json.JSONDecodeError, RecursionError):
        return arguments
