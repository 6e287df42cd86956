"""What a store answers to a random program."""

from __future__ import annotations

from collections.abc import Awaitable

from contracts.state_programs import Block
from core.errors import InvalidInput, NotFound
from core.ports.state import State, StoreConflict, Transaction


def plain(answer: object) -> object:
    """The answer without the kinds of its containers, on which the port says nothing."""
    if isinstance(answer, dict):
        return dict(answer)
    return list(answer) if isinstance(answer, list | tuple) else answer


async def answers_of(tx: Transaction, block: Block) -> list[object]:
    answers: list[object] = []
    for step in block.steps:
        try:
            awaited = step(tx)
            if isinstance(awaited, Awaitable):
                answers.append(plain(await awaited))
        except (ValueError, RuntimeError, StoreConflict, InvalidInput) as error:
            answers.append(type(error))
    return answers


async def run(state: State, program: list[Block]) -> list[object]:
    answers: list[object] = []
    for block in program:
        try:
            open_block = state.snapshot if block.is_snapshot else state.transaction
            async with open_block(block.scope) as tx:
                answers.append(await answers_of(tx, block))
                if block.raises:
                    raise NotFound("thing", "it")
        except (NotFound, StoreConflict) as error:
            answers.append(type(error))
    return answers
