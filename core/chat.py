"""What a caller asks of a chat: the request, checked once at the boundary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import Enum
from operator import attrgetter
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass as checked

from core.checking import QUIET
from core.generation import Constraints, GenerationOptions
from core.identifiers import CollectionName, ConversationId, MessageId, RequestId, Seconds
from core.knowledge import EVERYTHING, Filter
from core.messages import Message, Role

MAX_LINGER = Seconds(60.0)
MAX_ID, MAX_NAME, MAX_LANGUAGE = 128, 200, 35
"""Characters of an id, of a name of the caller's or the operator's, and of a language's tag."""
MAX_COLLECTIONS = 20


class Mode(Enum):
    """What stands behind the answer: the model alone, documents, or tools."""

    CHAT = "chat"
    RAG = "rag"
    TOOLS = "tools"


class Grounding(Enum):
    """When the text of a grounded answer is checked and released."""

    OFF = "off"
    SENTENCE = "sentence"
    FINAL = "final"


@dataclass(frozen=True, slots=True)
class PromptChoice:
    """A template by name or by exact version (`name@digest`), and what goes into its slots."""

    name: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)


Name = Annotated[str, Field(max_length=MAX_NAME)]


@checked(frozen=True, slots=True, config=QUIET)
class ChatRequest:
    """One turn's request. Defaults here are those that the contract documents.

    `request_id` "" means that the call is not safe to retry. `linger` is how long the turn goes
    on without a reader; None takes the server's default. `turn_timeout` bounds a detached turn.
    """

    message: Message
    request_id: Annotated[RequestId, Field(max_length=MAX_ID)] = RequestId("")
    conversation: Annotated[ConversationId, Field(max_length=MAX_ID)] | None = None
    parent_message: Annotated[MessageId, Field(max_length=MAX_ID)] | None = None
    messages: Annotated[tuple[Message, ...], Field(max_length=100)] = ()
    mode: Mode | None = None
    collections: Annotated[tuple[CollectionName, ...], Field(max_length=MAX_COLLECTIONS)] = ()
    filter: Filter = EVERYTHING
    model: Name = ""
    constraints: Constraints = Constraints()
    prompt: PromptChoice = PromptChoice()
    options: GenerationOptions = GenerationOptions()
    grounding: Grounding | None = None
    feature: Name = ""
    detach: bool = False
    linger: Annotated[Seconds, Field(ge=0, le=MAX_LINGER)] | None = None
    turn_timeout: Annotated[Seconds, Field(gt=0)] | None = None
    accept_retractions: bool = False
    language: Annotated[str, Field(max_length=MAX_LANGUAGE)] = ""

    @property
    def grounded_in_documents(self) -> bool:
        """Whether documents are searched for this turn: asked for, or collections are named."""
        return self.mode is Mode.RAG or (self.mode is None and bool(self.collections))

    @property
    def effective_mode(self) -> Mode:
        """The mode asked for; without one, RAG where collections are named, else CHAT."""
        return self.mode or (Mode.RAG if self.grounded_in_documents else Mode.CHAT)

    @property
    def effective_grounding(self) -> Grounding:
        """The grounding asked for; without one, SENTENCE where documents are searched."""
        if self.grounding is not None:
            return self.grounding
        return Grounding.SENTENCE if self.grounded_in_documents else Grounding.OFF

    def content(self) -> Mapping[str, object]:
        """What the digest covers: not what may differ between two sends of one request.

        What is as by default is left out, so that a field that comes later changes no digest.
        """
        content: dict[str, object] = {"message": self.message}
        for name, value, unset in zip(_COVERED, _values_of(self), _VALUES_UNSET, strict=True):
            if value is not unset and value != unset:
                content[name] = value
        return content


UNSET = ChatRequest(Message(Role.USER, ()))
"""A request in which nothing is set, its message empty. Its values are what one is compared by."""

_NOT_COVERED = {"message", "request_id", "detach", "linger", "turn_timeout"}
_COVERED = tuple(f.name for f in fields(ChatRequest) if f.name not in _NOT_COVERED)
_values_of = attrgetter(*_COVERED)
_VALUES_UNSET = _values_of(UNSET)
