"""The verdict of a bad hour: each kind of wrong is told, and nothing else."""

from __future__ import annotations

import pytest

from chaos.crowd import Crowd, Heard
from chaos.providers import WHOLE, WORDS, tag
from chaos.verdict import Booked, Books, figures
from fakes.provider_server import Outcome, Record

ONE, KILLED = tag(0, 0), tag(1, 0)
AGAIN = tag(1, 1)


def a_call(name: str, format: str = "chat", tokens: int = 16, **changes: object) -> Record:
    record = Record(format, {}, {}, f"Count, {name}.", 2, None, 0.0, tokens=tokens, ended=1.0)
    record.outcome, record.counted = Outcome.WHOLE, True
    for field, value in changes.items():
        setattr(record, field, value)
    return record


def cut(name: str, tokens: int, format: str = "chat") -> Record:
    return a_call(name, format, tokens, outcome=Outcome.BROKEN, counted=False)


def exact(name: str, completion: int = 16, deployment: str = "cutting") -> Booked:
    return Booked((name, deployment), completion, estimated=False)


def estimate(name: str, completion: int, deployment: str = "cutting") -> Booked:
    return Booked((name, deployment), completion, estimated=True)


def verdict(records: list[Record], lines: list[Booked], **changes: object) -> list[object]:
    """What is wrong about one request that was answered whole, and one that was killed once."""
    heard = [Heard(0, ONE, list(WHOLE)), Heard(1, AGAIN, list(WHOLE))]
    crowd = Crowd("", 2, 1, heard=heard, broken={KILLED})
    for field, value in changes.items():
        setattr(crowd, field, value)
    books = Books([*lines, exact(AGAIN)])
    for line in books.lines:
        books.attempts[line.key[0]] += 1
    wrong = figures(crowd, [*records, a_call(AGAIN)], books, learning={0})["violations"]
    assert isinstance(wrong, list)
    return wrong


def test_a_good_hour_has_no_violations() -> None:
    assert verdict([a_call(ONE)], [exact(ONE)]) == []
    went_on = [cut(ONE, 5), a_call(ONE, "gemini", 11)]
    assert verdict(went_on, [estimate(ONE, 5), exact(ONE, 11, "healthy")]) == []


def test_a_process_that_died_may_have_forgotten_what_it_heard() -> None:
    """It had an attempt on record that was never called, or one that it did not book exactly."""
    assert verdict([a_call(ONE)], [exact(ONE), estimate(KILLED, 0)]) == []
    assert verdict([a_call(ONE), a_call(KILLED)], [exact(ONE), estimate(KILLED, 0)]) == []


@pytest.mark.parametrize(
    ("records", "lines", "said"),
    [
        ([a_call(ONE), a_call(ONE)], [exact(ONE)], "2 calls, 1 lines"),
        ([a_call(ONE)], [exact(ONE), exact(ONE)], "1 calls, 2 lines"),
        ([a_call(ONE)], [exact(ONE, 15)], "booked {15: 1}, told {16: 1}"),
        ([a_call(ONE)], [estimate(ONE, 16)], "booked {}, told {16: 1}"),
        ([cut(ONE, 5), a_call(ONE)], [estimate(ONE, 6), exact(ONE)], "6 estimated of 5"),
        ([a_call(ONE), a_call(KILLED)], [exact(ONE)], "1 calls, 0 lines"),
        ([a_call(ONE, ended=40.0)], [exact(ONE)], "went on for 31 s"),
        ([cut(ONE, 20)], [estimate(ONE, 9)], "16 tokens were received, 9 booked"),
    ],
)
def test_what_was_booked_wrongly_is_told(
    records: list[Record], lines: list[Booked], said: str
) -> None:
    assert any(said in str(wrong) for wrong in verdict(records, lines))


@pytest.mark.parametrize(
    ("heard", "said"),
    [
        (Heard(0, ONE, [], "Unavailable: all of them"), "all of them"),
        (Heard(0, ONE, [*WHOLE, "15"]), "said"),
        (Heard(0, ONE, WHOLE[:-1]), "said"),
    ],
)
def test_what_a_client_saw_wrongly_is_told(heard: Heard, said: str) -> None:
    whole = Heard(1, AGAIN, list(WHOLE))
    assert any(
        said in str(wrong) for wrong in verdict([a_call(ONE)], [exact(ONE)], heard=[heard, whole])
    )


def test_too_many_attempts_are_told() -> None:
    crowd = Crowd("", 1, 1, heard=[Heard(0, ONE, list(WHOLE))])
    books = Books([exact(ONE)])
    books.attempts[ONE] = 2
    wrong = figures(crowd, [a_call(ONE)], books, learning=())["violations"]
    assert wrong == ["2.000 attempts a request"]
    assert len(WORDS) == 16
