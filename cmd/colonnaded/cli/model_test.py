"""Real calls of one deployment: whether it answers, what is wrong with it, what it can do."""

from __future__ import annotations

from typing import NamedTuple

from rich.console import Console

from colonnade.client import Client, ColonnadeError, Unavailable
from colonnade.client.model_requests import GenerateFields
from colonnade.v1.models_pb2 import GenerateResponse, Model
from colonnaded.cli.connected import explained

_CURES = {
    "authentication": "the key is refused: look at api_key",
    "connection": "nobody answers there, or TLS fails: look at base_url and ca_file",
    "timeout": "it does not answer in time: look at base_url, and whether the model is loaded",
    "bad_request": "it refuses the request: look at model, and at the path in base_url",
    "rate_limited": "it has reached its rate; try later",
    "overloaded": "it says that it is overloaded; try later",
    "malformed_stream": "what answers there does not speak this adapter's format",
    "weights_missing": "the weights are not there: look at model, or run: colonnade doctor",
    "unsupported": "it can't do this: take the capability out of its settings",
    "resting": "it has failed before, and is left alone for a while; see: colonnade models health",
}
_SCHEMA = (
    '{"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"], '
    '"additionalProperties": false}'
)


class _Check(NamedTuple):
    """One call: what is looked at, and what it asks for."""

    what: str
    fields: GenerateFields


def _checks(model: Model) -> list[_Check]:
    able = set(model.capabilities)
    found = [_Check("answers", GenerateFields(max_output_tokens=16))]
    if "seed" in able:
        found.append(_Check("takes a seed", GenerateFields(max_output_tokens=4, seed=1)))
    if "stop" in able:
        found.append(_Check("stops at a text", GenerateFields(max_output_tokens=4, stop=["###"])))
    if "json_schema" in able:
        fields = GenerateFields(max_output_tokens=64, response_schema=_SCHEMA)
        found.append(_Check("keeps to a JSON schema", fields))
    return found


def tested(client: Client, name: str, timeout: float) -> bool:
    """Call the deployment and print what came of it; whether all is well."""
    console = Console()
    model = next((m for m in client.models.list(timeout=timeout) if m.name == name), None)
    if model is None or model.kind != Model.KIND_LANGUAGE:
        console.print(f"no deployment {name!r}; see: colonnade models list", style="red")
        return False
    sound = True
    for check in _checks(model):
        fields = GenerateFields(model=name, explain=True, feature="models test")
        fields.update(check.fields)
        try:
            answer = client.models.generate(
                "Answer with one word: is water wet?", timeout=timeout, **fields
            )
        except ColonnadeError as error:
            console.print(f"✗ {check.what}: {_what_is_wrong(error)}", style="red", markup=False)
            sound = False
            if check.what == "answers":
                return False
        else:
            console.print(f"✓ {check.what}{_facts(answer)}", style="green", markup=False)
    return sound


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
    cure = _CURES.get(last.cause, last.cause)
    return f"{cure} ({last.detail})" if last.detail else cure
