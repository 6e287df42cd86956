"""Schedules that once failed, cut down to what they needed to fail."""

from __future__ import annotations

import pytest

from simulation.plan import (
    Ask,
    Fail,
    Full,
    Hang,
    OnCommit,
    Pause,
    Plan,
    Question,
    Resume,
    Setup,
    Wait,
)
from simulation.running import run_plan
from simulation.store import CommitFault

REFUSED_BEFORE_ITS_EQUAL_BEGAN = Plan(
    seed=154651174508254,
    setup=Setup(
        replicas=2, latency=0.0005, bus_loss=1.0, bus_delay=0.003, turns_limit=1, id_retention=0.4
    ),
    questions=(
        Question(scripts=((Wait(0.2),), ()), branch=0, linger=1.0),
        Question(scripts=((),), linger=0.0),
    ),
    steps=(
        Ask(at=0.05, replica=0, question=0, deadline=2.0),
        Pause(at=0.139, replica=0, seconds=6.855),
        Ask(at=6.807, replica=0, question=0, deadline=4.0, goes_on_at=(0, 0)),
        Ask(at=6.443, replica=0, question=0, deadline=4.0, goes_on_at=(0, 0)),
        Resume(at=0.345, replica=1, question=0, start=1.0, deadline=2.0),
        Ask(at=0.326, replica=1, question=0, deadline=0.4, leaves=0.316, goes_on_at=(0,)),
    ),
)
"""The last place was given back between two equal calls: the one found none, the other claimed.

The refusal was older than the claim, though its client heard of it later.
"""


ASLEEP_OVER_A_WAKE = Plan(
    seed=92044838030885,
    setup=Setup(replicas=1, latency=0.002, fault_rate=0.03),
    questions=(
        Question(scripts=((), ()), branch=0, tool=True),
        Question(scripts=((), (), ()), linger=0.0, approval=0.19),
        Question(scripts=((),), linger=1.0, approval=2.48),
    ),
    steps=(
        Ask(at=0.05, replica=0, question=2, deadline=2.0, leaves=0.624, goes_on_at=(0,)),
        Ask(at=0.042, replica=0, question=1, deadline=4.0, leaves=0.216, pace=0.4),
        Pause(at=1.451, replica=0, seconds=5.5),
    ),
)
"""A wake was committed while its replica stood still, which then had no more patience to ask."""

NOT_THERE_YET = Plan(
    seed=130530465620760,
    setup=Setup(replicas=2, latency=0.002, turns_limit=1),
    questions=(
        Question(scripts=((Fail(),), (Hang(stubborn=1.5),))),
        Question(scripts=((), (), ()), linger=1.0, detach=True),
    ),
    steps=(
        Ask(at=0.05, replica=0, question=1, deadline=0.4, goes_on_at=(0,), pace=0.1),
        Ask(at=2.368, replica=0, question=0, deadline=2.0, goes_on_at=(1, 0), whole=True),
        OnCommit(table="idempotency", nth=1, replica=None, fault=CommitFault.LATE),
    ),
)
"""A claim in doubt was asked for when its caller had gone, was not there, and came after all."""

WAITED_PAST_ALL_TIME = Plan(
    seed=91529353957080,
    setup=Setup(replicas=3, latency=0.002, fault_rate=0.03),
    questions=(Question(scripts=((),), timeout=0.5, approval=0.75),),
    steps=(
        Ask(at=0.05, replica=2, question=0, deadline=4.0, leaves=0.645, goes_on_at=(1,)),
        Pause(at=2.151, replica=2, seconds=7.0, step=27),
        Full(at=2.945, seconds=2.703),
    ),
)
"""A claim was known long after its turn's deadline, and the turn began to wait for an approval."""

FOUND = {
    "refused before its equal began": REFUSED_BEFORE_ITS_EQUAL_BEGAN,
    "asleep over a wake": ASLEEP_OVER_A_WAKE,
    "a claim that was not there yet": NOT_THERE_YET,
    "waited past all time": WAITED_PAST_ALL_TIME,
}


@pytest.mark.parametrize("plan", FOUND.values(), ids=FOUND.keys())
def test_what_once_failed_holds(plan: Plan) -> None:
    assert run_plan(plan).violations == []
