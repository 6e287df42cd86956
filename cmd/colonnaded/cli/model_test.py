"""Real calls of one deployment: whether it answers, what is wrong with it, what it can do."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import NamedTuple

from rich.console import Console

from colonnade.client import Client, ColonnadeError, Unavailable, tool, tool_calls
from colonnade.client.model_requests import GenerateFields
from colonnade.v1.models_pb2 import GenerateResponse, Model
from colonnaded.cli.connected import explained
from colonnaded.cli.model_cures import cure

_QUESTION = "Answer with one word: is water wet?"
_SCHEMA = (
    '{"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"], '
    '"additionalProperties": false}'
)
_WEATHER = tool(
    "weather",
    "Tells the weather of a city.",
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)


class _Check(NamedTuple):
    """One call: what is looked at, what it asks for, and what is wrong with its answer."""

    what: str
    fields: GenerateFields
    wrong: Callable[[GenerateResponse], str] = lambda _: ""


def _checks(model: Model) -> list[_Check]:
    checks = {
        "seed": _Check("takes a seed", GenerateFields(max_output_tokens=4, seed=1)),
        "stop": _Check("stops at a text", GenerateFields(max_output_tokens=4, stop=["###"])),
        "json_schema": _Check(
            "keeps to a JSON schema",
            GenerateFields(max_output_tokens=64, response_schema=_SCHEMA),
            _no_json,
        ),
        "tools": _Check(
            "calls a tool",
            GenerateFields(max_output_tokens=64, tools=[_WEATHER], tool_choice="required"),
            lambda answer: "" if tool_calls(answer.message) else "it called none",
        ),
        "logprobs": _Check(
            "gives log-probabilities",
            GenerateFields(max_output_tokens=4, logprobs=1),
            lambda answer: "" if answer.logprobs else "it gave none",
        ),
        "reasoning": _Check(
            "thinks as long as it is told",
            GenerateFields(max_output_tokens=256, reasoning_effort="low"),
        ),
    }
    able = [checks[name] for name in checks if name in model.capabilities]
    return [_Check("answers", GenerateFields(max_output_tokens=16)), *able]


def _no_json(answer: GenerateResponse) -> str:
    text = "".join(part.text for part in answer.message.parts)
    try:
        said = json.loads(text)
    except ValueError:
        return f"it said {text[:80]!r}, which is no JSON"
    fits = isinstance(said, dict) and set(said) == {"ok"} and isinstance(said["ok"], bool)
    return "" if fits else f"it said {text[:80]!r}, which the schema does not allow"


def tested(client: Client, name: str, timeout: float) -> bool:
    """Call the deployment and print what came of it; whether all is well."""
    console = Console()
    model = next((m for m in client.models.list(timeout=timeout) if m.name == name), None)
    if model is None or model.kind != Model.KIND_LANGUAGE:
        console.print(f"no deployment {name!r}; see: colonnade models list", style="red")
        return False
    sound = True
    for check in _checks(model):
        wrong = _tried(console, client, model, check, timeout)
        sound = sound and not wrong
        if wrong and check.what == "answers":
            return False
        if check.what == "answers":
            sound = _streams(console, client, model, timeout) and sound
    return sound


def _tried(console: Console, client: Client, model: Model, check: _Check, timeout: float) -> bool:
    """Make the call; whether something is wrong."""
    fields = GenerateFields(model=model.name, explain=True, feature="models test")
    fields.update(check.fields)
    try:
        answer = client.models.generate(_QUESTION, timeout=timeout, **fields)
    except ColonnadeError as error:
        wrong, facts = _what_is_wrong(error), ""
    else:
        wrong, facts = check.wrong(answer), _facts(answer)
        if wrong:
            wrong += "; take the capability out of its settings, if that stays so"
    _tell(console, check.what, wrong, facts)
    return bool(wrong)


def _streams(console: Console, client: Client, model: Model, timeout: float) -> bool:
    """Whether a streamed answer comes to its end; what lies between may cut or keep it."""
    fields = GenerateFields(model=model.name, explain=True, feature="models test")
    fields["max_output_tokens"] = 16
    pieces, wrong = 0, ""
    try:
        for piece in client.models.stream(_QUESTION, timeout=timeout, **fields):
            pieces += bool(piece.text)
    except ColonnadeError as error:
        wrong = f"{_what_is_wrong(error)}; whole answers came: look at what lies between"
    _tell(console, "streams", wrong, f" ({pieces} pieces)")
    return not wrong


def _tell(console: Console, what: str, wrong: str, facts: str) -> None:
    said, style = (f"✗ {what}: {wrong}", "red") if wrong else (f"✓ {what}{facts}", "green")
    console.print(said, style=style, markup=False)


def _facts(answer: GenerateResponse) -> str:
    used = answer.usage
    cost = f", {answer.cost.amount} {answer.cost.currency_code}" if answer.cost.amount else ""
    counted = "estimated" if used.estimated else "counted by the provider"
    return f" ({used.prompt_tokens} + {used.output_tokens} tokens, {counted}{cost})"


def _what_is_wrong(error: ColonnadeError) -> str:
    """The cause in plain words, with the provider's own behind it."""
    if not isinstance(error, Unavailable) or not error.attempts:
        return explained(error)
    last = error.attempts[-1]
    return cure(last.cause, last.detail)
