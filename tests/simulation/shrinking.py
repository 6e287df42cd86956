"""Cuts a failing schedule down to what it needs to fail: fewer steps, simpler scripts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from simulation.plan import Plan, Setup, Step
from simulation.running import run_plan
from simulation.world import Result

Fails = Callable[[Plan], bool]


def shrink(plan: Plan, invariant: str, *, most_tries: int = 2_000) -> Plan:
    """A smaller plan that violates the same invariant; the plan itself where none is found."""
    tries = 0

    def fails(candidate: Plan) -> bool:
        nonlocal tries
        tries += 1
        return tries <= most_tries and violates(run_plan(candidate), invariant)

    while True:
        smaller = _calmer(_fewer_steps(plan, fails), fails)
        if smaller == plan:
            return plan
        plan = smaller


def violates(result: Result, invariant: str) -> bool:
    """Whether this is the invariant that was violated first."""
    return bool(result.violations) and result.violations[0].invariant == invariant


def _fewer_steps(plan: Plan, fails: Fails) -> Plan:
    """Leave out as many steps as can be (ddmin: halves first, then ever smaller parts)."""
    steps, parts = plan.steps, 2
    while len(steps) > 1:
        size = -(-len(steps) // parts)
        for at in range(0, len(steps), size):
            rest: tuple[Step, ...] = (*steps[:at], *steps[at + size :])
            if fails(replace(plan, steps=rest)):
                steps, parts = rest, max(2, parts - 1)
                break
        else:
            if size == 1:
                break
            parts = min(len(steps), parts * 2)
    return replace(plan, steps=steps)


def _calmer(plan: Plan, fails: Fails) -> Plan:
    """Take the default for each thing that does not matter, and the shorter script."""
    for candidate in _calmed(plan):
        if candidate(plan) != plan and fails(candidate(plan)):
            plan = candidate(plan)
    return plan


def _calmed(plan: Plan) -> Iterator[Callable[[Plan], Plan]]:
    for name in Setup.__dataclass_fields__:
        value = getattr(Setup(), name)
        if name != "replicas":
            yield partial(_with_setup, name=name, value=value)
    for number, question in enumerate(plan.questions):
        for script in range(len(question.scripts)):
            for at in range(len(question.scripts[script])):
                yield partial(_without, question=number, script=script, at=at)


def _with_setup(plan: Plan, name: str, value: Any) -> Plan:
    """The plan with one field of its setup changed."""
    return replace(plan, setup=replace(plan.setup, **{name: value}))


def _without(plan: Plan, question: int, script: int, at: int) -> Plan:
    """The plan without one step of one script."""
    asked = plan.questions[question]
    if at >= len(asked.scripts[script]):
        return plan
    shorter = (*asked.scripts[script][:at], *asked.scripts[script][at + 1 :])
    scripts = (*asked.scripts[:script], shorter, *asked.scripts[script + 1 :])
    changed = replace(asked, scripts=scripts)
    questions = (*plan.questions[:question], changed, *plan.questions[question + 1 :])
    return replace(plan, questions=questions)
