"""What outside data is refused with never repeats it."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from core.chat import ChatRequest
from core.conversations import ConversationContent
from core.generation import GenerationOptions
from core.identifiers import CollectionName
from core.messages import Message, Role
from core.ports.retriever import SearchRequest

SECRET = "the patient's name " * 12_000


def test_an_error_tells_what_is_wrong_and_not_what_was_sent() -> None:
    hello = Message.of(Role.USER, "Hello")
    for make in (
        lambda: SearchRequest(query=SECRET, collections=(CollectionName("docs"),)),
        lambda: ChatRequest(message=hello, feature=SECRET),
        lambda: ConversationContent(title=SECRET),
        lambda: GenerationOptions(response_schema=SECRET),
    ):
        with pytest.raises(ValidationError) as refused:
            make()
        assert "at most" in str(refused.value)
        assert "patient" not in str(refused.value)
