"""Untrusted text stays inside its fence and gives a tokenizer nothing to obey."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.prompting.fencing import disarm, fenced, nonce_for

CONTROL = [
    "<|im_start|>",
    "<|im_end|>",
    "<|user|>",
    "<| endoftext |>",
    "<｜User｜>",
    "＜|system|＞",
    "[INST]",
    "[/INST]",
    "<<SYS>>",
    "<</SYS>>",
    "</s>",
    "<s>",
    "<bos>",
    "<start_of_turn>",
    "<end_of_turn>",
    "<tool_call>",
    "</think>",
    "[TOOL_CALLS]",
    "<source-12345678>",
    "</source-12345678>",
    "</ source>",
]
MIXED = st.lists(
    st.sampled_from([*CONTROL, *CONTROL[0], "[", "]", "/", "source-", "INST", "s", "\n", " "]),
    max_size=30,
).map("".join)


@pytest.mark.parametrize("token", CONTROL)
def test_a_control_token_is_disarmed_and_still_readable(token: str) -> None:
    disarmed = disarm(f"before {token} after")
    assert token not in disarmed
    assert re.sub(r"\W", "", disarmed) == re.sub(r"\W", "", f"before {token} after")


@pytest.mark.parametrize("text", ["a < b", "list[0]", "<html>", "if x <= y | z", "x << 2", "[1]"])
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert disarm(text) == text


@settings(max_examples=300)
@given(MIXED)
def test_no_control_token_survives_or_arises(text: str) -> None:
    disarmed = disarm(text)
    assert not any(token.lower() in disarmed.lower() for token in CONTROL)
    assert not re.search(r"[<＜]\s*[|｜]", disarmed)
    assert disarm(disarmed) == disarmed
    assert len(disarmed) == len(text)


@settings(max_examples=300)
@given(st.lists(MIXED | st.text(), min_size=1, max_size=4))
def test_a_text_can_not_end_its_fence(texts: list[str]) -> None:
    nonce = nonce_for(texts)
    for text in texts:
        block = fenced(text, nonce, "[1] ")
        assert block.startswith(f"[1] <source-{nonce}>\n")
        assert block.endswith(f"\n</source-{nonce}>")
        assert block.count(nonce) == 2
        assert len(re.findall(r"<\s*/?\s*source", block, re.IGNORECASE)) == 2
    assert nonce == nonce_for(texts)


def test_a_text_that_holds_the_nonce_is_refused_or_gets_another() -> None:
    with pytest.raises(ValueError, match="nonce"):
        fenced("cafe1234", "cafe1234")
    first = nonce_for(["x"])
    assert nonce_for(["x", first]) not in ("x", first)
