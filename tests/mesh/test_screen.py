"""What a terminal shows of an answer while it comes."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from colonnade.v1.turns_pb2 import ProviderSwitched, TurnEvent
from colonnaded.cli.screen import Screen


@pytest.mark.parametrize(
    ("then", "said"),
    [
        ("small", "big failed (overloaded); small goes on"),
        ("big", "big failed (overloaded); it is tried again"),
    ],
)
def test_who_failed_and_what_comes_next_is_told(then: str, said: str) -> None:
    shown = io.StringIO()
    switched = ProviderSwitched(from_model="big", to_model=then, cause="overloaded")
    with Screen(Console(file=shown)) as screen:
        screen.take(TurnEvent(provider_switched=switched))
    assert said in " ".join(shown.getvalue().split())
