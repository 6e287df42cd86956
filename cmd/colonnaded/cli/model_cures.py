"""What is wrong with a deployment, by how its call failed: what to look at, in plain words."""

from __future__ import annotations

import re
from collections.abc import Sequence

_BY_WORDS: Sequence[tuple[str, str, str]] = (
    ("connection", r"host name", "nobody knows that host: look at the address in base_url"),
    (
        "connection",
        r"certificate|TLS",
        "TLS fails: look at ca_file, and at https or http in base_url",
    ),
    ("connection", r"proxy", "the proxy does not answer: look at proxy"),
    ("connection", r"disconnected|reset", "it hangs up: look at https or http in base_url"),
    ("bad_request", r"HTTP 3\d\d", "it answers somewhere else: look at the path in base_url"),
    (
        "bad_request",
        r"HTTP 40[05].*(path|route|url|method)|HTTP 405",
        "there is nothing at that path: look at base_url",
    ),
    ("bad_request", r"\bmodels?\b|deployment", "it has no such model: look at model"),
    ("bad_request", r"HTTP 404", "there is nothing at that path: look at base_url"),
    (
        "bad_request",
        r"HTTP 4\d\d\): .",
        "it refuses the request; what it says tells what it does not take",
    ),
)
"""Kind of failure, words of its detail, and what to look at; the first that fits."""
_BY_KIND = {
    "authentication": "the key is refused: look at api_key, and at the account",
    "connection": "nobody answers there: look at the address in base_url",
    "timeout": "it does not answer in time: look at base_url, and whether the model is loaded",
    "bad_request": "it refuses the request: look at model, and at the path in base_url",
    "rate_limited": "it has reached its rate; try later",
    "overloaded": "it says that it is overloaded, or fails; try later",
    "malformed_stream": "what answers there does not speak this format: look at adapter, and at "
    "the path in base_url",
    "content_filtered": "its filter refuses even this question: look at the account",
    "context_too_long": "even this question is too long for it: look at model",
    "weights_missing": "the weights are not there: look at model, or run: colonnade doctor",
    "unsupported": "it can't do this: take the capability out of its settings",
    "resting": "it has failed before, and is left alone for a while; see: colonnade models health",
    "busy": "it works on as many calls as it may; try later",
}


def cure(kind: str, detail: str) -> str:
    """What to look at, with the provider's own words behind it."""
    words = next(
        (
            told
            for each, said, told in _BY_WORDS
            if each == kind and re.search(said, detail, re.IGNORECASE)
        ),
        "",
    )
    told = words or _BY_KIND.get(kind, kind)
    return f"{told} ({detail})" if detail else told
