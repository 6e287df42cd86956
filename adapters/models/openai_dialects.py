"""Where the servers of Chat Completions differ from each other, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from core.catalog import Capability
from core.generation import ToolChoice

_ALL = frozenset(Capability) - {Capability.EMBEDDINGS, Capability.REASONING_BUDGET}


@dataclass(frozen=True, slots=True)
class Dialect:
    """One server's way.

    What it can:
    `possible` are the capabilities that its requests can express at all. `developer_role` keeps
    developer messages what they are; otherwise they are sent as system messages. `choices` are
    the tool choices that it heeds. `parallel_switch`: it can be told to make one call at a time.
    `remote_images`: images may be addresses, not only data.

    How it spells:
    `output_limit` bounds the answer (OpenAI's reasoning models refuse the old name, older servers
    don't know the new one). `stream_usage` asks for the token counts of a stream; a few servers
    refuse to be asked and send them anyway. `must_call` is the tool choice that demands a call.
    `schema` is the form of a response schema. `effort` is where the reasoning effort stands.
    `prefix` is how it is told to go on from an answer that was begun ("": it can't).
    `cache_key` is sent where it is known. `call_id_length`: ids of calls have exactly that.

    How it thinks:
    `thoughts` come in fields of their own, or else in the text between tags, which the model
    opens, or its template. `thoughts_back` is the field in which it wants its thoughts back.
    """

    output_limit: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    developer_role: bool = False
    stream_usage: bool = True
    name: str = "generic"
    possible: frozenset[Capability] = _ALL
    choices: frozenset[ToolChoice] = frozenset(ToolChoice)
    parallel_switch: bool = True
    remote_images: bool = True
    must_call: Literal["required", "any"] = "required"
    seed: Literal["seed", "random_seed"] = "seed"
    schema: Literal["json_schema", "json_object_value"] = "json_schema"
    effort: Literal["reasoning_effort", "reasoning", "chat_template_kwargs"] = "reasoning_effort"
    prefix: Literal["", "as_it_is", "flag", "continue_final_message"] = "as_it_is"
    cache_key: bool = False
    call_id_length: int | None = None
    thoughts: Literal["fields", "tags", "tags_opened"] = "tags"
    thoughts_back: Literal["", "reasoning_content", "reasoning_details"] = ""


OPENAI = Dialect(
    name="openai",
    output_limit="max_completion_tokens",
    developer_role=True,
    prefix="",
    cache_key=True,
    thoughts="fields",
)
AZURE = Dialect(
    name="azure",
    output_limit="max_completion_tokens",
    developer_role=True,
    prefix="",
    cache_key=True,
    thoughts="fields",
)
VLLM = Dialect(name="vllm", prefix="continue_final_message")
LLAMA_CPP = Dialect(
    name="llama.cpp",
    choices=frozenset(ToolChoice) - {ToolChoice.ONE},
    effort="chat_template_kwargs",
)
LLAMA_CPP_LIBRARY = Dialect(name="llama.cpp in the process", thoughts="fields")
"""It splits the thoughts off by itself."""
OLLAMA = Dialect(
    name="ollama",
    possible=_ALL - {Capability.LOGPROBS},
    choices=frozenset({ToolChoice.AUTO}),
    parallel_switch=False,
    remote_images=False,
)
TGI = Dialect(
    name="tgi",
    possible=_ALL - {Capability.REASONING},
    parallel_switch=False,
    schema="json_object_value",
    prefix="",
)
DEEPSEEK = Dialect(
    name="deepseek",
    possible=_ALL
    - {Capability.SEED, Capability.JSON_SCHEMA, Capability.IMAGES, Capability.REASONING},
    parallel_switch=False,
    prefix="flag",
    thoughts="fields",
    thoughts_back="reasoning_content",
)
MISTRAL = Dialect(
    name="mistral",
    stream_usage=False,
    possible=_ALL - {Capability.LOGPROBS, Capability.REASONING},
    must_call="any",
    seed="random_seed",
    prefix="flag",
    call_id_length=9,
)
OPENROUTER = Dialect(
    name="openrouter",
    possible=_ALL | {Capability.REASONING_BUDGET},
    effort="reasoning",
    thoughts="fields",
    thoughts_back="reasoning_details",
)
GENERIC = Dialect()

DIALECTS: Mapping[str, Dialect] = {
    dialect.name: dialect
    for dialect in (
        GENERIC,
        OPENAI,
        AZURE,
        VLLM,
        LLAMA_CPP,
        OLLAMA,
        TGI,
        DEEPSEEK,
        MISTRAL,
        OPENROUTER,
    )
}

_HOSTS = {
    "api.openai.com": OPENAI,
    "api.deepseek.com": DEEPSEEK,
    "api.mistral.ai": MISTRAL,
    "openrouter.ai": OPENROUTER,
    "ollama.com": OLLAMA,
}


def dialect_of(base_url: str) -> Dialect:
    """The dialect of a host that is known, else the generic one."""
    host = urlsplit(base_url).hostname or ""
    if host.endswith(".openai.azure.com"):
        return AZURE
    return _HOSTS.get(host, GENERIC)
