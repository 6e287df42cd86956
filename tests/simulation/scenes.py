"""Beginnings that chance would seldom make: each is where a rule of the protocol earns its keep."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from simulation.plan import (
    Ask,
    Away,
    Cancel,
    Fail,
    Hang,
    Kill,
    OnCommit,
    Pause,
    Question,
    Resume,
    Say,
    Script,
    ScriptStep,
    Setup,
    Step,
    Wait,
)


@dataclass(frozen=True, slots=True)
class Scene:
    """The first question of a plan, and what happens to it."""

    question: Question
    steps: tuple[Step, ...]


def a_scene(draw: random.Random, setup: Setup) -> Scene:
    """One of them, with times and replicas drawn."""
    makers: tuple[Callable[[random.Random, Setup], Scene], ...] = (
        _owner_sleeps_and_another_runs,
        _owner_sleeps_before_it_calls,
        _owner_wakes_as_it_is_given_up,
        _provider_ends_while_the_owner_sleeps,
        _store_away_under_long_answers,
        _many_ask_at_once,
        _read_elsewhere_then_left,
        _read_here_then_left,
        _two_on_one_branch,
        _provider_fails_past_all_time,
    )
    return draw.choice(makers)(draw, setup)


def _others(draw: random.Random, setup: Setup, count: int) -> tuple[int, ...]:
    return tuple(draw.randrange(setup.replicas) for _ in range(count))


def _slowly(draw: random.Random, seconds: float) -> Script:
    """Words over so many seconds."""
    steps: list[ScriptStep] = []
    for _ in range(6):
        steps.extend((Wait(round(seconds / 6 * (0.7 + 0.6 * draw.random()), 3)), Say()))
    return tuple(steps)


def _owner_sleeps_and_another_runs(draw: random.Random, setup: Setup) -> Scene:
    """It wakes while the next run of its turn is under way elsewhere."""
    first: Script = (Wait(round(0.1 + draw.random(), 3)), Say(), Wait(0.2), Say())
    question = Question((first, _slowly(draw, 3.0)), draw.choice((None, 0)), linger=1.0)
    sleeps, wakes = round(0.06 + 0.1 * draw.random(), 3), round(6.3 + 1.7 * draw.random(), 3)
    again = round(5.6 + draw.random(), 3)
    at = tuple(round(again + 0.4 * draw.random(), 3) for _ in range(2))
    others = _others(draw, setup, 2)
    return Scene(
        question,
        (
            Ask(0.05, 0, 0, 2.0),
            Pause(sleeps, 0, round(wakes - sleeps, 3)),
            *(
                Ask(each, other, 0, 4.0, goes_on_at=others)
                for each, other in zip(at, others, strict=True)
            ),
        ),
    )


def _owner_sleeps_before_it_calls(draw: random.Random, setup: Setup) -> Scene:
    """Its attempt is on record, its lease over when it wakes."""
    question = Question(((Say(), Wait(0.3), Say()),), None, linger=1.0, detach=True)
    table = draw.choice(("attempts", "attempts", "idempotency", "events"))
    pause = OnCommit(table, 1, 0, pauses=round(4.6 + 2 * draw.random(), 2))
    (other,) = _others(draw, setup, 1)
    return Scene(question, (Ask(0.05, 0, 0, 4.0), pause, Resume(6.0, other, 0)))


def _owner_wakes_as_it_is_given_up(draw: random.Random, setup: Setup) -> Scene:
    """Its renewal and the take-over meet."""
    question = Question((_slowly(draw, 7.0),), draw.choice((None, 0)), detach=True)
    pause = Pause(0.3, 0, round(5.0 + 1.3 * draw.random(), 3))
    looks = tuple(
        Resume(round(4.8 + 1.6 * draw.random(), 3), other, 0) for other in _others(draw, setup, 2)
    )
    return Scene(question, (Ask(0.05, 0, 0, 4.0), pause, *looks))


def _provider_ends_while_the_owner_sleeps(draw: random.Random, setup: Setup) -> Scene:
    """What was used is known only after the turn was settled by another."""
    end: ScriptStep = draw.choice((Say(), Fail(), Say()))
    script: Script = (Wait(0.2), Say(), Wait(0.3), end)
    question = Question((script,), draw.choice((None, 0)), detach=True)
    sleeps = round(0.1 + 0.6 * draw.random(), 3)
    (other,) = _others(draw, setup, 1)
    return Scene(question, (Ask(0.05, 0, 0, 4.0), Pause(sleeps, 0, 7.0), Resume(6.5, other, 0)))


def _store_away_under_long_answers(draw: random.Random, setup: Setup) -> Scene:
    """For longer than a lease, or than output is held back."""
    script = draw.choice(((Wait(0.1), Say(), Hang()), _slowly(draw, 7.0)))
    question = Question((script,), draw.choice((None, 0)), detach=True)
    whom = draw.choice((None, None, 0))
    away = Away(round(0.1 + 0.5 * draw.random(), 3), round(4 + 4.5 * draw.random(), 3), whom)
    (other,) = _others(draw, setup, 1)
    return Scene(question, (Ask(0.05, 0, 0, 4.0), away, Resume(1.0, other, 0)))


def _many_ask_at_once(draw: random.Random, setup: Setup) -> Scene:
    """The same, at the same moment, on the same and on other replicas."""
    question = Question((_slowly(draw, 0.5),), draw.choice((None, 0)))
    here = tuple(round(0.05 + 0.006 * draw.random(), 4) for _ in range(3))
    elsewhere = _others(draw, setup, 2)
    asks = [Ask(at, 0, 0, 4.0) for at in here]
    asks += [Ask(round(0.05 + 0.004 * draw.random(), 4), other, 0, 4.0) for other in elsewhere]
    return Scene(question, tuple(asks))


def _read_elsewhere_then_left(draw: random.Random, setup: Setup) -> Scene:
    """Who asked has gone; somebody reads on another replica, for a while."""
    question = Question((_slowly(draw, 3.5),), draw.choice((None, 0)), linger=0.3)
    leaves = round(0.4 + 3 * draw.random(), 3)
    other = (setup.replicas - 1) if setup.replicas > 1 else 0
    return Scene(
        question,
        (Ask(0.05, 0, 0, 4.0, leaves=0.5), Resume(0.3, other, 0, 0.0, 4.0, leaves=leaves)),
    )


def _read_here_then_left(draw: random.Random, setup: Setup) -> Scene:
    """Readers come and go; one stays, or none does."""
    question = Question((_slowly(draw, 3.5),), draw.choice((None, 0)), linger=0.0)
    leaves = round(0.3 + 2 * draw.random(), 3)
    stays = draw.choice((None, 1.0))
    return Scene(
        question,
        (
            Ask(0.05, 0, 0, 4.0, leaves=leaves),
            Resume(round(leaves * draw.random(), 3), 0, 0, 0.0, 4.0, leaves=stays),
            *((Cancel(2.0, 0, 0),) if draw.random() < 0.3 else ()),
        ),
    )


def _two_on_one_branch(draw: random.Random, setup: Setup) -> Scene:
    """The first fails or dies, the second runs, the first is tried again."""
    first: Script = (Wait(0.1), Fail())
    question = Question((first, first, _slowly(draw, 1.0)), 0)
    here, there = _others(draw, setup, 2)
    again = round(0.4 + 0.8 * draw.random(), 3)
    kill = (Kill(0.12, here, None, 0.3),) if draw.random() < 0.3 else ()
    second = Ask(round(again - 0.02 + 0.04 * draw.random(), 3), there, 1, 4.0)
    return Scene(question, (Ask(0.05, here, 0, 4.0), second, Ask(again, there, 0, 4.0), *kill))


def _provider_fails_past_all_time(draw: random.Random, setup: Setup) -> Scene:
    """A runner whose clock stands still is about to ask again when anyone may end its turn."""
    replica = draw.randrange(setup.replicas)
    late = Wait(round(3.6 + draw.random() * 1.2, 3))
    question = Question(((late, Fail()), (Say(),)), detach=True, timeout=0.5, wedged=True)
    return Scene(question, (Ask(0.05, replica, 0, deadline=8.0),))
