"""The two clients have the same methods, with the same arguments."""

from __future__ import annotations

import inspect

import pytest

from colonnade.client import AnswerStream, AsyncAnswerStream, AsyncClient, Client
from colonnade.client.aio.conversations import AsyncConversations
from colonnade.client.aio.knowledge import AsyncKnowledge
from colonnade.client.aio.models import AsyncModels
from colonnade.client.blocking.conversations import Conversations
from colonnade.client.blocking.knowledge import Knowledge
from colonnade.client.blocking.models import Models


@pytest.mark.parametrize(
    ("blocking", "asyncio"),
    [
        (Client, AsyncClient),
        (AnswerStream, AsyncAnswerStream),
        (Conversations, AsyncConversations),
        (Knowledge, AsyncKnowledge),
        (Models, AsyncModels),
    ],
)
def test_the_same_methods_with_the_same_arguments(blocking: type, asyncio: type) -> None:
    assert methods(blocking) == methods(asyncio)


def methods(kind: type) -> dict[str, list[str]]:
    return {
        name: [str(parameter) for parameter in inspect.signature(member).parameters.values()]
        for name, member in vars(kind).items()
        if not name.startswith("_") and callable(member)
    }
