"""Fitting a prompt's parts to a model's window, checked on the rendered prompt."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence

from core.errors import ContextTooLong
from core.messages import Message
from core.prompting.parts import PromptPart, SourceKind
from core.prompting.prompt import Prompt, render

Shortening = Generator[tuple[Message, ...], int, Prompt]
"""Yields messages to be counted, is sent their tokens, and returns the prompt."""


def assemble(
    parts: Sequence[PromptPart], budget: int, count: Callable[[Sequence[Message]], int]
) -> Prompt:
    """The prompt of as many parts as fit into `budget` tokens, as `count` counts them rendered.

    Drops whole units, the lowest priority first, and no more than it must; required parts
    stay, and the order of what stays. Counts the whole, and if that is too long some
    log2(units) renderings more. Raises ContextTooLong if the required parts alone don't fit.
    """
    messages = render(parts)
    tokens = count(messages)
    if tokens <= budget:
        return Prompt(messages, tuple(parts), (), tokens, budget)
    steps = shortened(parts, budget)
    messages = next(steps)
    while True:
        try:
            messages = steps.send(count(messages))
        except StopIteration as end:
            prompt: Prompt = end.value
            return prompt


def shortened(parts: Sequence[PromptPart], budget: int) -> Shortening:
    """`assemble` for who counts elsewhere (asynchronously), of parts that are too long as a whole.

    One step a count.
    """
    order = drop_order(parts)
    least = yield render(_without(parts, _first(order, len(order))))
    if least > budget:
        raise ContextTooLong(needed=least, allowed=budget)
    low, high, fits = 0, len(order), least
    while high - low > 1:  # dropping `low` units is too little, dropping `high` is enough
        middle = (low + high) // 2
        tokens = yield render(_without(parts, _first(order, middle)))
        if tokens <= budget:
            high, fits = middle, tokens
        else:
            low = middle
    return _prompt(parts, _first(order, high), fits, budget)


def drop_order(parts: Sequence[PromptPart]) -> tuple[frozenset[int], ...]:
    """The units that may go, as indices of their parts, first to go first."""
    units: dict[str, list[int]] = {}
    for index, part in enumerate(parts):
        units.setdefault(part.unit or f"part {index}", []).append(index)
    free = [unit for unit in units.values() if not any(parts[i].required for i in unit)]
    return tuple(frozenset(unit) for unit in sorted(free, key=lambda unit: _rank(parts, unit)))


def _rank(parts: Sequence[PromptPart], unit: Sequence[int]) -> tuple[int, int]:
    priority = min(int(parts[i].priority) for i in unit)
    ranked = parts[unit[0]].source.kind is SourceKind.RETRIEVED
    return priority, -unit[0] if ranked else unit[0]


def _first(order: Sequence[frozenset[int]], count: int) -> frozenset[int]:
    return frozenset().union(*order[:count])


def _without(parts: Sequence[PromptPart], gone: frozenset[int]) -> tuple[PromptPart, ...]:
    return tuple(part for index, part in enumerate(parts) if index not in gone)


def _prompt(parts: Sequence[PromptPart], gone: frozenset[int], tokens: int, budget: int) -> Prompt:
    kept = _without(parts, gone)
    dropped = tuple(parts[index] for index in sorted(gone))
    return Prompt(render(kept), kept, dropped, tokens, budget)
