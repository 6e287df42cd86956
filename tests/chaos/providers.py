"""Four providers of a bad hour, and the settings of the gateway in front of them."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from fakes.provider_server import Asked, Fault, Plan, ProviderServer, Refusal

WORDS = [f"{number:02d} " for number in range(16)]
"""A token each, and three bytes: an estimate by bytes is exact."""
WHOLE = "".join(WORDS).split()
DEADLINE_S = 30.0
CUT_SHARE = 0.2
SLOW_S = 1.0

FORMATS = {"down": "responses", "cutting": "chat", "slow": "messages", "healthy": "gemini"}
"""The format that each deployment's provider speaks."""
_ADAPTERS = {
    "responses": "openai-responses",
    "chat": "openai",
    "messages": "anthropic",
    "gemini": "gemini",
}
_TAG = re.compile(r"\br\d+x\d+\b")


def settings_of(server: ProviderServer) -> str:
    """Deployments, a route through all of them, and hedging, as an operator writes them."""
    tables = [_deployment(name, server) for name in FORMATS]
    candidates = ", ".join(f'"{name}"' for name in FORMATS)
    return (
        '[mesh]\ntargets = ["models"]\n'
        f'[routes.way]\ncandidates = [{candidates}]\nstrategy = "least_outstanding"\n'
        "[retries]\nbase_seconds = 0.05\n"
        "[hedging]\nenabled = true\nafter_seconds = 0.5\n" + "".join(tables)
    )


def _deployment(name: str, server: ProviderServer) -> str:
    format = FORMATS[name]
    dialect = 'dialect = "vllm"\n' if format == "chat" else ""
    return (
        f'[deployments.{name}]\nadapter = "{_ADAPTERS[format]}"\nmodel = "m"\n'
        f'base_url = "{server.url(format)}"\n{dialect}takes_prefix = true\n'
        "context_window = 10000\nprices = { input = 1, output = 1 }\n"
    )


def tag(number: int, again: int) -> str:
    """The name of one try of one request, which its prompt and its bookings carry."""
    return f"r{number}x{again}"


def tag_of(prompt: str) -> str:
    """Which try this is."""
    found = _TAG.search(prompt)
    return found[0] if found else ""


def bad_hour(seed: int) -> Callable[[Asked], Plan]:
    """One is down, one cuts a fifth of its streams, one is slow, one is well."""
    chance = random.Random(seed)

    def plan(asked: Asked) -> Plan:
        left = _still_to_say(asked)
        match asked.format:
            case "responses":
                return Plan(refusal=Refusal(503))
            case "chat" if chance.random() < CUT_SHARE and len(left) > 1:
                after = chance.randrange(1, len(left))
                return Plan.of(*left, pause=0.005, fault=Fault.CUT, after=after)
            case "messages":
                return Plan.of(*left, first=SLOW_S, pause=0.005)
        return Plan.of(*left, pause=0.005)

    return plan


def _still_to_say(asked: Asked) -> list[str]:
    """What is left after the words that stand in the prompt already."""
    said = len(re.findall(r"\b\d\d\b", asked.prompt))
    return WORDS[said:] or [" "]
