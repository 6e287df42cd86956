"""Makes a plan from a seed: small, and as mean as a bad day."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

from simulation.plan import (
    Action,
    Ask,
    Away,
    Cancel,
    CutBus,
    Decide,
    DropClients,
    Fail,
    Fault,
    Full,
    Hang,
    Kill,
    Look,
    OnCommit,
    Pause,
    Plan,
    Question,
    Resume,
    Say,
    Script,
    ScriptStep,
    Setup,
    ShutDown,
    Slow,
    Wait,
)
from simulation.scenes import a_scene
from simulation.store import CommitFault

_TABLES = ("idempotency", "events", "attempts", "executions", "turns", "ledger", "readers")
_SPAN_S = 3.0
_SCENES = 0.25
"""The share of schedules that begin with a scene."""


def make_plan(seed: int) -> Plan:
    """The schedule of this seed."""
    draw = random.Random(seed)
    setup = _setup(draw)
    if draw.random() < _SCENES:
        return _staged(draw, setup)
    questions = tuple(_question(draw) for _ in range(draw.choice((1, 1, 2, 2, 3))))
    actions = [_action(draw, setup, questions, n) for n in range(draw.randint(3, 8))]
    faults = [_fault(draw, setup) for _ in range(draw.choice((0, 1, 1, 2, 2, 3, 4)))]
    return Plan(draw.getrandbits(48), setup, questions, (*actions, *faults))


def _staged(draw: random.Random, setup: Setup) -> Plan:
    """A scene, and a little of everything else around it."""
    calm = draw.random() < 0.6
    if calm:
        setup = replace(setup, spike_rate=0.0, fault_rate=0.0)
    scene = a_scene(draw, setup)
    other = _question(draw)
    if any(isinstance(step, Ask) and step.question == 1 for step in scene.steps):
        other = replace(other, branch=0, approval=None)
    questions = (scene.question, other)
    actions = [_action(draw, setup, questions, n) for n in range(1, 1 + draw.choice((0, 0, 1, 2)))]
    faults = [_fault(draw, setup) for _ in range(0 if calm else draw.choice((0, 1)))]
    return Plan(draw.getrandbits(48), setup, questions, (*scene.steps, *actions, *faults))


def _setup(draw: random.Random) -> Setup:
    alone = draw.random() < 0.06
    replicas = 1 if alone else draw.choice((1, 2, 2, 2, 3, 3, 4))
    return Setup(
        replicas=replicas,
        alone=alone,
        serial=draw.random() < 0.4,
        skews=tuple(draw.choice((0.0, 0.0, 8.0, -8.0)) for _ in range(replicas)),
        latency=draw.choice((0.0005, 0.002, 0.02)),
        spike=draw.choice((0.3, 1.0)),
        spike_rate=draw.choice((0.0, 0.0, 0.01, 0.05)),
        fault_rate=draw.choice((0.0, 0.0, 0.0, 0.03, 0.1)),
        bus_loss=draw.choice((0.0, 0.0, 0.3, 1.0)),
        bus_repeats=draw.choice((0.0, 0.2)),
        bus_delay=draw.choice((0.002, 0.002, 0.2, 1.0)),
        tail_events=draw.choice((1, 3, 512)),
        read_events=draw.choice((1, 2, 64)),
        turns_limit=draw.choice((1, 64, 64, 64, 64)),
        id_retention=draw.choice((0.4, 3_600.0, 3_600.0, 3_600.0)),
        afterlife=draw.random() < 0.15,
    )


def _question(draw: random.Random) -> Question:
    return Question(
        scripts=tuple(_script(draw) for _ in range(draw.choice((1, 1, 2, 3)))),
        branch=draw.choice((None, None, 0, 0, 1)),
        linger=draw.choice((None, None, 0.0, 0.05, 1.0)),
        detach=draw.random() < 0.15,
        timeout=draw.choice((None, None, None, 0.5, 2.0)),
        tool=draw.random() < 0.1,
        wedged=draw.random() < 0.04,
        approval=round(draw.random() * 3, 2) if draw.random() < 0.12 else None,
    )


def _script(draw: random.Random) -> Script:
    steps: list[ScriptStep] = []
    for _ in range(draw.choice((0, 1, 2, 3, 5))):
        if draw.random() < 0.6:
            steps.append(Wait(round(draw.random() * draw.choice((0.05, 0.3, 1.0)), 3)))
        steps.append(Say())
    end = draw.random()
    if end < 0.2:
        steps.insert(draw.randrange(len(steps) + 1), Fail())
    elif end < 0.32:
        steps.append(Hang(draw.choice((0.0, 0.0, 0.5, 1.5))))
    return tuple(steps)


def _action(
    draw: random.Random, setup: Setup, questions: tuple[Question, ...], number: int
) -> Action:
    at = 0.05 if number == 0 else round(draw.random() * _SPAN_S, 3)
    replica, question = draw.randrange(setup.replicas), draw.randrange(len(questions))
    kind = draw.random()
    if number and questions[question].approval is not None and kind < 0.3:
        return Decide(at, replica, question, draw.random() < 0.7)
    leaves = round(draw.random() * 1.5, 3) if draw.random() < 0.4 else None
    pace = draw.choice((0.0, 0.0, 0.0, 0.1, 0.4))
    deadline = draw.choice((0.4, 2.0, 4.0, 4.0))
    if number == 0 or kind < 0.55:
        others = tuple(draw.randrange(setup.replicas) for _ in range(draw.choice((0, 1, 2, 3))))
        return Ask(
            at,
            replica,
            question,
            deadline,
            leaves,
            others,
            pace,
            other=draw.random() < 0.04,
            whole=draw.random() < 0.12,
        )
    if kind < 0.8:
        start = draw.choice((0.0, 0.0, 1.0, round(draw.random(), 2)))
        return Resume(at, replica, question, start, deadline, leaves, pace)
    if kind < 0.92:
        return Cancel(at, replica, question)
    return Look(at, replica, question, with_events=draw.random() < 0.5)


def _fault(draw: random.Random, setup: Setup) -> Fault:
    at = round(draw.random() * _SPAN_S, 3)
    replica = draw.randrange(setup.replicas)
    back = draw.choice((0.05, 1.0, 3.0, None)) if not setup.alone else 0.3
    step = draw.randrange(20, 400) if draw.random() < 0.4 else None
    seconds = round(draw.choice((0.1, 1.0, 3.0, 8.0)) * draw.random(), 3)
    nobody_back = None if setup.replicas > 1 else 0.5
    makers: list[tuple[float, Callable[[], Fault]]] = [
        (0.22, lambda: Kill(at, replica, step, back or nobody_back)),
        (0.18, lambda: Pause(at, replica, draw.choice((seconds, 5.5, 7.0)), step)),
        (0.30, lambda: _on_commit(draw, replica, back or nobody_back)),
        (0.10, lambda: Away(at, seconds, draw.choice((None, replica)), draw.random() < 0.4)),
        (0.04, lambda: Full(at, seconds)),
        (0.04, lambda: Slow(at, min(seconds, 2.0), draw.choice((0.1, 0.5, 1.5)))),
        (0.04, lambda: CutBus(at, seconds, replica)),
        (0.03, lambda: DropClients(at, replica)),
        (0.05, lambda: ShutDown(at, replica, draw.choice((0.0, 0.5, 2.0)), back or 0.5)),
    ]
    weights = [weight for weight, _ in makers]
    return draw.choices([make for _, make in makers], weights)[0]()


def _on_commit(draw: random.Random, replica: int, back: float | None) -> OnCommit:
    table = draw.choice(_TABLES)
    nth = draw.choice((1, 1, 1, 2, 3))
    by = draw.choice((None, replica))
    kind = draw.random()
    if kind < 0.6:
        return OnCommit(table, nth, by, draw.choice(list(CommitFault)))
    if kind < 0.8:
        return OnCommit(table, nth, by, kills=True, back_after=back)
    return OnCommit(table, nth, by, pauses=draw.choice((0.5, 2.0, 6.0)))
