"""Who may judge a lease: only one who has been in touch with the store all the while."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from core.identifiers import Seconds
from core.turns.contact import Contact
from core.turns.leases import local_lease_end, may_renew, renewed
from core.turns.rows import TurnState
from fakes.turn_rows import RUNNING, at

LEASE, GAP = Seconds(5.0), Seconds(2.0)

steps = st.lists(
    st.tuples(st.floats(0, 6, width=16), st.floats(0, 3, width=16)), min_size=1, max_size=30
)
"""How long after the last answer a request is sent, and how long its answer takes."""


def _after(exchanges: list[tuple[float, float]]) -> tuple[Contact, list[tuple[float, float]]]:
    contact, now, seen = Contact(), 0.0, list[tuple[float, float]]()
    for pause, took in exchanges:
        sent, now = now + pause, now + pause + took
        contact = contact.reached(Seconds(sent), Seconds(now), GAP)
        seen.append((sent, now))
    return contact, seen


@given(steps, st.floats(0, 8, width=16))
def test_contact_covers_a_lease_only_without_a_gap(
    exchanges: list[tuple[float, float]], later: float
) -> None:
    """Whenever within its exchange each commit happened: no two are more than the gap apart."""
    contact, seen = _after(exchanges)
    now = seen[-1][1] + later
    if not contact.covers(LEASE, Seconds(now), GAP):
        return
    begun = [i for i, (_, answered) in enumerate(seen) if answered <= now - LEASE]
    assert begun
    within = seen[begun[-1] :]
    for (sent, _), (_, answered) in pairwise(within):
        assert answered - sent <= GAP
    assert now - within[-1][0] <= GAP


def test_regular_contact_covers_a_lease_once_it_has_lasted_as_long() -> None:
    contact, _ = _after([(1.0, 0.01)] * 5)
    assert not contact.covers(LEASE, Seconds(5.2), GAP)
    contact, _ = _after([(1.0, 0.01)] * 7)
    assert contact.covers(LEASE, Seconds(7.1), GAP)


def test_a_pause_of_ones_own_breaks_it() -> None:
    contact, seen = _after([(1.0, 0.01)] * 20)
    now = seen[-1][1]
    assert contact.covers(LEASE, Seconds(now + 1), GAP)
    assert not contact.covers(LEASE, Seconds(now + 20), GAP)
    woken = contact.reached(Seconds(now + 20), Seconds(now + 20.01), GAP)
    assert not woken.covers(LEASE, Seconds(now + 20.1), GAP)


def test_a_pause_within_one_exchange_breaks_it_too() -> None:
    contact, seen = _after([(1.0, 0.01)] * 20)
    now = seen[-1][1]
    woken = contact.reached(Seconds(now + 0.5), Seconds(now + 9), GAP)
    assert not woken.covers(LEASE, Seconds(now + 9), GAP)


def test_one_who_has_never_reached_the_store_judges_nobody() -> None:
    assert not Contact().covers(LEASE, Seconds(1e9), GAP)


def test_the_owners_lease_ends_before_the_stores() -> None:
    sent, stored = 100.0, 100.4
    assert local_lease_end(Seconds(sent), LEASE, Seconds(0.5)) < stored + LEASE


@given(st.floats(-5, 100), st.floats(0, 20))
def test_no_write_shortens_a_lease(now: float, lease: float) -> None:
    row = renewed(RUNNING, at(now), Seconds(lease), Seconds(10))
    assert row.lease_until >= RUNNING.lease_until
    assert replace(row, lease_until=RUNNING.lease_until) == RUNNING


def test_past_the_hard_deadline_no_lease_is_left_to_have() -> None:
    assert may_renew(RUNNING, at(69.9), Seconds(10))
    assert not may_renew(RUNNING, at(70), Seconds(10))
    assert renewed(RUNNING, at(70), LEASE, Seconds(10)) == RUNNING
    for state in (TurnState.WAITING, TurnState.FINISHED, TurnState.FAILED):
        gone = replace(RUNNING, state=state)
        assert renewed(gone, at(1), LEASE, Seconds(10)) == gone
