"""A request's way: each candidate once a round, and a setback leads where its cause says."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from core.catalog import Deployment, FallbackCause, Tier
from core.identifiers import DeploymentName
from core.routing import Candidate, RoutingDecision
from core.routing.course import Course, Setback


def candidate(name: str, window: int = 4_000) -> Candidate:
    plan = Deployment(DeploymentName(name), f"m-{name}", "p", Tier.SMALL, window, 500)
    return Candidate(plan, Decimal(0))


A, B, C, D = (candidate(name) for name in "abcd")
DOWN = Setback(FallbackCause.DOWN, passing=True)


def course(*candidates: Candidate, **chains: tuple[Candidate, ...]) -> Course:
    fallbacks = {FallbackCause(cause): chain for cause, chain in chains.items()}
    return Course(RoutingDecision(candidates, (), fallbacks=fallbacks))


def way(on: Course, setback: Setback) -> str:
    names = ""
    while (each := on.next()) is not None:
        names += each.deployment.name
        on.set_back(each, setback)
    return names


def test_each_is_asked_once_a_round_and_only_who_may_answer_later_again() -> None:
    on = course(A, B)
    assert way(on, DOWN) == "ab"
    on.next_round()
    first = on.next()
    assert first is A
    on.set_back(A, Setback(FallbackCause.DOWN))
    assert way(on, DOWN) == "b"
    on.next_round()
    assert way(on, Setback(FallbackCause.DOWN)) == "b"
    assert on.later == ()


def test_the_chain_of_a_cause_takes_the_place_of_the_others() -> None:
    on = course(A, B, rate=(C, D))
    on.next()
    on.set_back(A, Setback(FallbackCause.RATE, passing=True))
    assert way(on, DOWN) == "cd"


def test_a_chain_is_entered_once() -> None:
    on = course(A, rate=(A, B))
    on.next()
    on.set_back(A, Setback(FallbackCause.RATE, passing=True))
    assert way(on, Setback(FallbackCause.RATE, passing=True)) == "b"


def test_a_filters_verdict_is_final_without_a_chain() -> None:
    on = course(A, B, C)
    on.set_back(on.next() or A, DOWN)
    on.set_back(on.next() or B, Setback(FallbackCause.CONTENT_FILTER))
    assert on.next() is None
    assert on.later == ()


def test_after_a_small_window_only_larger_ones_are_asked() -> None:
    on = course(A, B, candidate("x", 9_000), C)
    on.set_back(on.next() or A, Setback(FallbackCause.CONTEXT_WINDOW))
    assert way(on, DOWN) == "x"


def test_who_does_not_suit_stays_in_line() -> None:
    on = course(A, B)
    assert on.next(lambda c: c is B) is B
    assert on.next(lambda c: c is B) is None
    assert on.others_wait
    assert on.next() is A


SETBACKS = st.builds(Setback, st.sampled_from(list(FallbackCause)), st.booleans())


@given(
    st.lists(st.sampled_from("abcdef"), unique=True, max_size=6),
    st.dictionaries(
        st.sampled_from(list(FallbackCause)),
        st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=4),
    ),
    st.lists(SETBACKS, min_size=30, max_size=30),
)
def test_nobody_is_asked_twice_in_a_round_and_every_way_ends(
    names: list[str], chains: dict[FallbackCause, list[str]], setbacks: list[Setback]
) -> None:
    fallbacks = {cause: tuple(map(candidate, chain)) for cause, chain in chains.items()}
    decision = RoutingDecision(tuple(map(candidate, names)), (), fallbacks=fallbacks)
    on = Course(replace(decision))
    asked: list[str] = []
    for setback in setbacks:
        each = on.next()
        if each is None:
            break
        asked.append(each.deployment.name)
        on.set_back(each, setback)
    else:
        raise AssertionError("a round never ended")
    assert len(asked) == len(set(asked))
