"""What is a trace context, and what is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.trace import TraceContext, trace_context

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"


def test_a_trace_with_its_state() -> None:
    assert trace_context([PARENT], ["a=1"]) == TraceContext(PARENT, "a=1")
    assert trace_context([PARENT], []) == TraceContext(PARENT)
    assert trace_context([PARENT], ["a=1,b=2", " c=3 ", ""]) == TraceContext(PARENT, "a=1,b=2,c=3")


@pytest.mark.parametrize(
    "parent",
    [
        "",
        PARENT.upper(),
        PARENT + "-",
        PARENT + "0",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01\n",
        f"01-{TRACE}-{SPAN}-01-" + "a" * 300,
    ],
)
def test_what_is_none(parent: str) -> None:
    assert trace_context([parent], ["a=1"]) is None


def test_two_are_none() -> None:
    assert trace_context([PARENT, PARENT], []) is None
    assert trace_context([], ["a=1"]) is None


def test_a_later_version_is_handed_on() -> None:
    later = f"01-{TRACE}-{SPAN}-01-more"
    assert trace_context([later], []) == TraceContext(later)


@pytest.mark.parametrize("state", ["ü=1", "a=\n", "a" * 513])
def test_a_broken_state_is_left_out(state: str) -> None:
    assert trace_context([PARENT], [state]) == TraceContext(PARENT)


@given(st.lists(st.text(max_size=80), max_size=3), st.lists(st.text(max_size=300), max_size=3))
def test_nothing_else_than_printable_ascii_goes_on(parents: list[str], states: list[str]) -> None:
    found = trace_context([*parents, PARENT][-1:], states)
    assert found is not None
    assert found.state.isascii()
    assert found.state == "" or found.state.isprintable()
