from __future__ import annotations

import pytest

from adapters.models.call_numbers import CallNumbers
from adapters.models.tool_names import ToolNames, legal_call_id
from core.generation import ToolCallDelta

Taken = tuple[int | None, str, str, str]


def calls(*taken: Taken) -> list[tuple[int, str, str]]:
    """The number, tool and arguments of each call."""
    numbers = CallNumbers(ToolNames((), 64))
    made: list[ToolCallDelta] = []
    for piece in taken:
        for delta in numbers.take(*piece):
            if delta.index == len(made):
                assert delta.call_id
                made.append(delta)
            else:
                before = made[delta.index]
                made[delta.index] = ToolCallDelta(
                    before.index, before.call_id, before.tool, before.arguments + delta.arguments
                )
    assert len({call.call_id for call in made}) == len(made)
    return [(call.index, call.tool, call.arguments) for call in made]


@pytest.mark.parametrize(
    "taken",
    [
        [
            (0, "a", "f", ""),
            (0, "", "", "1"),
            (1, "b", "g", ""),
            (0, "", "", "2"),
            (1, "", "", "3"),
        ],
        [(0, "a", "f", "12"), (0, "b", "g", "3")],
        [(None, "a", "f", "12"), (None, "b", "g", "3")],
        [(None, "a", "f", "1"), (None, "", "", "2"), (None, "b", "g", "3")],
        [(None, "", "f", "12"), (None, "", "g", "3")],
        [(0, "a", "f", "1"), (0, "a", "f", "2"), (1, "b", "g", "3")],
        [(0, "", "f", "1"), (0, "", "", "2"), (1, "", "g", "3")],
        [(3, "a", "f", "12"), (7, "b", "g", "3")],
        [(None, "a", "f", "1"), (None, "b", "g", ""), (None, "a", "", "2"), (None, "b", "", "3")],
    ],
    ids=[
        "as OpenAI does",
        "all numbered 0",
        "no numbers",
        "no number and no id later",
        "nothing but names",
        "id and name with each piece",
        "no ids",
        "numbers with gaps",
        "told apart by ids alone",
    ],
)
def test_however_a_server_numbers_them(taken: list[Taken]) -> None:
    assert calls(*taken) == [(0, "f", "12"), (1, "g", "3")]


def test_empty_pieces_add_nothing() -> None:
    numbers = CallNumbers(ToolNames((), 64))
    numbers.take(0, "a", "f", "")
    assert numbers.take(0, "", "", "") == []


class TestNames:
    def test_a_legal_name_stays(self) -> None:
        names = ToolNames(["get_lamp-2"], 64)
        assert names.there("get_lamp-2") == "get_lamp-2"

    def test_others_are_told_apart_and_come_back(self) -> None:
        given = ["a.b", "a_b", "a:b", "x" * 65, "x" * 66]
        names = ToolNames(given, 64)
        there = [names.there(name) for name in given]
        assert len(set(there)) == len(given)
        assert all(len(name) <= 64 and "." not in name for name in there)
        assert [names.back(name) for name in there] == given

    def test_a_name_that_nobody_gave_is_the_models_own(self) -> None:
        assert ToolNames(["a"], 64).back("made_up") == "made_up"


class TestCallIds:
    @pytest.mark.parametrize("call_id", ["call_1", "toolu_01A", "x" * 64])
    def test_a_legal_id_stays(self, call_id: str) -> None:
        assert legal_call_id(call_id) == call_id

    @pytest.mark.parametrize("call_id", ["", "x" * 65, "a b", "ü"])
    def test_another_becomes_one_of_its_own(self, call_id: str) -> None:
        made = legal_call_id(call_id)
        assert made == legal_call_id(call_id)
        assert legal_call_id(made) == made

    @pytest.mark.parametrize("call_id", ["call_1", "123456789", "abcdefgh_"])
    def test_a_provider_that_wants_nine_characters_gets_them(self, call_id: str) -> None:
        made = legal_call_id(call_id, 9)
        assert len(made) == 9
        assert made.isalnum()
        assert legal_call_id(made, 9) == made
