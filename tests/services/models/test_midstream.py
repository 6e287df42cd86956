"""A deployment that fails in the middle of its answer: who goes on, from where, and for whom."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from core.catalog import Capability, Tier
from core.errors import ColonnadeError, Reason
from core.generation import (
    GenerationOptions,
    ModelError,
    ModelErrorKind,
    StopCause,
    TokenUsage,
    ToolCallDelta,
)
from core.identifiers import ChunkId, CollectionName, DocumentId, Seconds
from core.knowledge import Chunk, Passage
from core.messages import Role
from core.ports.model_gateway import Restarted, Selected
from core.resilience.policy import PLAIN, ResiliencePolicy
from fakes.gateway_node import gateway_node
from fakes.language_model import Decline, Fail, Finish, Hang, ScriptedModel, Wait, script
from fakes.turn_node import a_model, turn_node

PASSAGE = Passage(
    Chunk(ChunkId("c1"), DocumentId("d1"), 0, "Rain falls.", 0, 11),
    CollectionName("docs"),
    "",
    "",
    1.0,
)
CUT = ModelError(ModelErrorKind.CONNECTION, "cut")


def cut(*words: str, name: str = "first", **more: Any) -> ScriptedModel:
    return a_model(script(*words, Fail(CUT)), name=name, price="1", **more)


def whole(*words: str, name: str = "second", **more: Any) -> ScriptedModel:
    return a_model(script(*words), name=name, price="2", **more)


async def test_one_that_takes_a_prefix_goes_on_from_the_text_so_far() -> None:
    """Elsewhere: a cut stream never tries the fallback (litellm 40404)."""
    second = whole(" brown", " fox", takes_prefix=True)
    node = gateway_node(cut("The quick"), second)
    heard = await node.hear()
    assert (heard.text, heard.error) == ("The quick brown fox", None)
    assert [s.continues for s in heard.of(Selected)] == [False, True]
    last = second.calls[0].request.messages[-1]
    assert (last.role, last.text) == (Role.ASSISTANT, "The quick")
    assert heard.switches == [("first", "connection")]


@pytest.mark.parametrize(
    "kind",
    [
        ModelErrorKind.TIMEOUT,
        ModelErrorKind.CONNECTION,
        ModelErrorKind.MALFORMED_STREAM,
        ModelErrorKind.OVERLOADED,
        ModelErrorKind.RATE_LIMITED,
    ],
)
async def test_a_stalled_stream_too(kind: ModelErrorKind) -> None:
    """Elsewhere: a cut or stalled stream never tries the fallback (litellm 40404)."""
    first = a_model(script("The", Fail(ModelError(kind, "x"))), name="first", price="1")
    heard = await gateway_node(first, whole(" fox", takes_prefix=True)).hear()
    assert (heard.text, heard.switches) == ("The fox", [("first", kind.value)])


async def test_a_filter_in_mid_stream_ends_it() -> None:
    filtered = ModelError(ModelErrorKind.CONTENT_FILTERED, "x")
    first = a_model(script("The", Fail(filtered)), name="first", price="1")
    second = whole(" never", takes_prefix=True)
    assert (await gateway_node(first, second).hear()).error is not None
    assert second.calls == []


async def test_there_are_no_words_of_ours_in_what_it_is_sent() -> None:
    """Elsewhere: a hard-coded English continuation prompt (litellm 18229)."""
    second = whole("!", takes_prefix=True)
    node = gateway_node(cut("你好"), second)
    await node.hear(node.order("你好吗"))
    sent = [message.text for message in second.calls[0].request.messages]
    assert sent == ["你好吗", "你好"]


async def test_one_that_takes_no_prefix_is_not_given_one() -> None:
    """Elsewhere: continuation on a model without prefill hides the real error (litellm 27967)."""
    second = whole("never")
    node = gateway_node(cut("Half"), second)
    heard = await node.hear()
    assert second.calls == []
    assert heard.error is not None
    assert heard.error.metadata == {"attempt:first": "connection"}


async def test_where_nobody_can_go_on_nobody_is_waited_for() -> None:
    node = gateway_node(cut("Half"), whole("never"), resilience=ResiliencePolicy())
    began = node.clock.monotonic()
    assert (await node.hear()).error is not None
    assert node.clock.monotonic() - began < 0.1


async def test_who_takes_a_prefix_is_preferred_in_mid_stream_only() -> None:
    middle = whole("never", name="middle")
    last = a_model(script(" whole"), name="last", price="3", takes_prefix=True)
    heard = await gateway_node(cut("Half"), middle, last).hear()
    assert (heard.text, heard.asked) == ("Half whole", ["first", "last"])


async def test_blanks_at_the_seam_stand_there_once() -> None:
    second = whole(" ", " fox", takes_prefix=True)
    heard = await gateway_node(cut("The quick "), second).hear()
    assert heard.text == "The quick  fox"
    assert second.calls[0].request.messages[-1].text == "The quick"
    joined = whole("\n\nfox", takes_prefix=True)
    assert (await gateway_node(cut("The\n"), joined).hear()).text == "The\n\nfox"


async def test_a_reader_that_accepts_it_gets_a_clean_restart() -> None:
    node = gateway_node(cut("Hal"), whole("A whole answer."))
    heard = await node.hear(accepts_restart=True)
    assert (heard.text, heard.error) == ("A whole answer.", None)
    assert heard.of(Restarted) == [Restarted(cut("x").deployment.name, "connection")]
    kinds = [type(event).__name__ for event in heard.events]
    assert kinds == [
        *("Selected", "TextDelta", "Switched", "Restarted", "Selected", "TextDelta", "Completed"),
    ]


async def test_a_second_break_goes_on_from_both_texts() -> None:
    second = a_model(script(" two", Fail(CUT)), name="second", price="2", takes_prefix=True)
    third = a_model(script(" three"), name="third", price="3", takes_prefix=True)
    heard = await gateway_node(cut("one"), second, third).hear()
    assert heard.text == "one two three"
    assert third.calls[0].request.messages[-1].text == "one two"


async def test_a_grammar_begins_at_the_beginning() -> None:
    able: dict[str, Any] = {"capabilities": frozenset({Capability.JSON_SCHEMA})}
    second = whole('{"b": 1}', takes_prefix=True, **able)
    node = gateway_node(cut('{"a":', **able), second)
    options = GenerationOptions(response_schema="{}")
    assert (await node.hear(options=options)).error is not None
    again = await node.hear(options=options, accepts_restart=True)
    assert (again.text, again.error) == ('{"b": 1}', None)


async def test_a_refusal_is_not_gone_on_from() -> None:
    first = a_model(script(Decline("I can't"), Fail(CUT)), name="first", price="1")
    second = whole("Sure", takes_prefix=True)
    assert (await gateway_node(first, second).hear()).error is not None
    assert second.calls == []


async def test_a_grounded_answer_is_gone_on_with_by_the_same_tier_or_better() -> None:
    """What it says is checked by the tier of who began it."""
    worse = whole(" x", takes_prefix=True, tier=Tier.SMALL)
    node = gateway_node(cut("Half"), worse)
    assert (await node.hear()).text == "Half x"
    assert (await node.hear(context=(PASSAGE,))).error is not None
    better = whole(" x", takes_prefix=True)
    node = gateway_node(cut("Half"), better)
    assert (await node.hear(context=(PASSAGE,))).text == "Half x"


class Proposing(ScriptedModel):
    """Proposes a tool call and is cut."""

    async def stream(self, request, *, timeout):  # type: ignore[no-untyped-def]
        self.calls.append(None)  # type: ignore[arg-type]
        yield ToolCallDelta(0, "call-1", "search", "{")
        raise CUT


async def test_after_a_proposal_of_a_tool_call_nobody_else_is_asked() -> None:
    first = Proposing(deployment=cut("x").deployment)
    second = whole("never", takes_prefix=True)
    node = gateway_node(first, second)
    heard = await node.hear(accepts_restart=True)
    assert heard.error is not None
    assert second.calls == []
    assert len(heard.of(ToolCallDelta)) == 1


async def test_the_first_words_can_be_held_a_little() -> None:
    """A failure within that time is followed by another's answer: nobody has seen the first."""
    first = a_model(script("Ha", Wait(0.1), "lf", Fail(CUT)), name="first", price="1")
    policy = replace(PLAIN, hold_first=Seconds(0.3))
    heard = await gateway_node(first, whole("whole"), resilience=policy).hear()
    assert (heard.text, heard.error, heard.of(Restarted)) == ("whole", None, [])
    late = a_model(script("a", Wait(0.4), "b", "c"), name="late")
    assert (await gateway_node(late, resilience=policy).hear()).text == "abc"


async def test_what_was_written_counts_against_the_callers_bound() -> None:
    second = whole(" c", takes_prefix=True)
    node = gateway_node(cut("a" * 30), second)
    await node.hear(options=GenerationOptions(max_output_tokens=100))
    assert second.calls[0].request.options.max_output_tokens == 90


async def test_both_attempts_are_booked_the_cut_one_as_an_estimate() -> None:
    node = gateway_node(cut("abc", "def"), whole(" g", takes_prefix=True))
    heard = await node.hear()
    lines = await node.ledger()
    assert [(line.deployment, line.estimated) for line in lines] == [
        ("first", True),
        ("second", False),
    ]
    spent = heard.completed.spent
    assert spent is not None
    assert (spent.attempts, spent.estimated) == (2, True)
    assert spent.cost == sum(line.cost or 0 for line in lines)
    assert spent.usage.prompt == sum(line.usage.prompt or 0 for line in lines)


async def test_a_reader_that_leaves_has_its_usage_booked() -> None:
    """Elsewhere: usage lost when a streaming client disconnects (litellm 14457)."""
    model = a_model(script("abcdef", Hang()))
    node = gateway_node(model)
    async with aclosing(node.stream(node.order())) as events:
        async for event in events:
            if not isinstance(event, Selected):
                break
    assert model.running == 0
    (line,) = await node.ledger()
    assert (line.usage, line.estimated) == (TokenUsage(5, 2), True)


async def test_no_estimate_is_above_what_could_be_written() -> None:
    node = gateway_node(cut("a" * 400))
    await node.hear(options=GenerationOptions(max_output_tokens=50))
    (line,) = await node.ledger()
    assert (line.usage.completion, line.estimated) == (50, True)


async def test_a_truncated_stream_is_a_failure_and_tries_the_next() -> None:
    """Elsewhere: a truncated stream returned as a clean success (portkey 1797)."""
    first = a_model(name="first", price="1")
    first._scripts = (script("Half")[:-1],)
    heard = await gateway_node(first, whole(" done", takes_prefix=True)).hear()
    assert (heard.text, heard.switches) == ("Half done", [("first", "malformed_stream")])


@pytest.mark.parametrize("usage", [TokenUsage(0, 0), TokenUsage(7, 0)])
async def test_what_a_provider_says_is_believed_also_zero(usage: TokenUsage) -> None:
    """Elsewhere: explicit zero usage replaced by an estimate (litellm 37992)."""
    node = gateway_node(a_model(script("abc", Finish(StopCause.STOP, usage))))
    heard = await node.hear()
    assert (heard.completed.usage, heard.completed.estimated) == (usage, False)


class TestTurns:
    """The same as a reader of a turn sees it."""

    async def test_a_reader_that_accepts_it_gets_the_text_taken_back_and_anew(self) -> None:
        async with turn_node(None, [cut("Hal"), whole("A whole answer.")]) as node:
            read = await node.ask("Hi", accept_retractions=True)
            assert (read.text, read.error) == ("A whole answer.", None)
            assert "Retracted" in read.kinds
            talk = await node.converse()
            again = await node.ask("Hi", conversation=talk, accept_retractions=True)
            assert again.error is None
            assert (await node.said(talk))[-1].message.text == "A whole answer."

    async def test_for_the_others_it_ends_with_the_first_text(self) -> None:
        async with turn_node(None, [cut("Hal"), whole("never")]) as node:
            read = await node.ask("Hi")
            assert isinstance(read.error, ColonnadeError)
            assert (read.text, read.error.reason) == ("Hal", Reason.MODELS_UNAVAILABLE)

    async def test_one_that_goes_on_needs_nothing_taken_back(self) -> None:
        async with turn_node(None, [cut("The quick"), whole(" fox", takes_prefix=True)]) as node:
            read = await node.ask("Hi")
            assert (read.text, read.error) == ("The quick fox", None)
            assert "Retracted" not in read.kinds
