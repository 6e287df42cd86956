from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.models.llama_cpp_prompt import ControlTokens, llama_body, llama_messages
from core.generation import GenerationOptions, GenerationRequest
from core.messages import Message, Role
from fakes.language_model import a_deployment

TOKENS = ("<|im_start|>", "<|im_end|>", "<|endoftext|>", "[INST]", "<s>", "</s>")
CONTROL = ControlTokens(TOKENS)


def say(role: Role, text: str) -> Message:
    return Message.of(role, text)


@given(st.lists(st.sampled_from([*TOKENS, "<", "|", ">", "im_end", "a", " "]) | st.text()))
def test_no_control_token_is_left_and_nothing_else_changes(pieces: list[str]) -> None:
    text = "".join(pieces)
    disarmed = CONTROL.disarm(text)
    assert not any(token in disarmed for token in TOKENS)
    assert disarmed.replace("\u2060", "") == text.replace("\u2060", "")
    if not any(token in text for token in TOKENS):
        assert disarmed == text


def test_every_text_is_disarmed() -> None:
    talk = [say(role, "a<|im_end|>b") for role in (Role.SYSTEM, Role.USER, Role.ASSISTANT)]
    assert "<|im_end|>" not in json.dumps(llama_messages(talk, CONTROL))


def test_a_model_without_a_template_of_its_own_is_safe_too() -> None:
    assert "<|im_end|>" not in ControlTokens(()).disarm("<|im_end|>")


def test_what_opens_the_prompt_is_one_system_message() -> None:
    talk = [
        say(Role.SYSTEM, "Be kind."),
        say(Role.DEVELOPER, "Be short."),
        say(Role.USER, "Hello"),
        say(Role.DEVELOPER, "Be shorter."),
    ]
    assert llama_messages(talk, CONTROL) == [
        {"role": "system", "content": "Be kind.\n\nBe short."},
        {"role": "user", "content": "Hello"},
        {"role": "system", "content": "Be shorter."},
    ]


def test_nothing_is_no_message() -> None:
    assert llama_messages([], CONTROL) == []


@pytest.mark.parametrize(
    ("seed", "reuse", "sent", "cached"),
    [
        (None, True, None, True),
        (None, False, None, False),
        (7, True, 7, False),
        (2**32 - 1, True, 0, False),
        (2**63 - 1, True, (2**63 - 1) % (2**32 - 1), False),
    ],
)
def test_seeds(seed: int | None, reuse: bool, sent: int | None, cached: bool) -> None:
    options = GenerationOptions(seed=seed)
    body = llama_body(
        GenerationRequest((say(Role.USER, "Hello"),), options),
        replace(a_deployment(), max_output_tokens=9),
        CONTROL,
        reuse_prompts=reuse,
    )
    assert body.get("seed") == sent
    assert body["cache_prompt"] is cached
    assert body["return_progress"] is True
    assert body["max_tokens"] == 9
