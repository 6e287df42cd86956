"""Every field of every row comes back from its columns: also one that is added to a type later."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.state.encoding import conversations, knowledge, spending, turns
from adapters.state.tables import metadata
from core import identifiers
from core.api_keys import ApiKey
from core.conversations import Conversation
from core.identifiers import CollectionName, MessageId, TenantId
from core.knowledge import Chunk, Collection, CollectionKey, Document
from core.messages import StoredMessage
from core.turns.rows import Attempt, ExecutionRecord, IdempotencyRecord, LedgerLine, ReaderRow, Turn

KEY = CollectionKey(TenantId("acme"), CollectionName("docs"))
PLAIN: dict[object, st.SearchStrategy[Any]] = {
    str: st.text(),
    int: st.integers(0, 2**63 - 1),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    bytes: st.binary(),
    Decimal: st.decimals(allow_nan=False, allow_infinity=False),
    datetime: st.datetimes(timezones=st.just(UTC)),
    types.NoneType: st.none(),
    MessageId: st.text(min_size=1),  # a root's parent is stored as ""
}


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of a type that rows are made of."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if kind in PLAIN:
        return PLAIN[kind]
    if origin in (types.UnionType, typing.Union):
        return st.one_of(*map(values, inner))
    if origin is tuple and inner[-1] is not ...:
        return st.tuples(*map(values, inner))
    if origin in (tuple, frozenset):
        return st.lists(values(inner[0]), max_size=3).map(origin)
    if origin is not None and issubclass(origin, Mapping):
        return st.dictionaries(values(inner[0]), values(inner[1]), max_size=3)
    if isinstance(kind, type) and is_dataclass(kind):
        hints = typing.get_type_hints(kind, localns=vars(identifiers))
        return st.builds(kind, **{each.name: values(hints[each.name]) for each in fields(kind)})
    if isinstance(kind, type) and issubclass(kind, Enum):
        return st.sampled_from(kind)
    return values(kind.__supertype__)


class Coding(NamedTuple):
    """A type, its columns in its table, and the way there and back."""

    kind: type
    table: str
    columns: Sequence[str]
    encode: Callable[[Any], tuple[object, ...]]
    decode: Callable[[Any], object]


CODINGS = [
    Coding(Turn, "turn", turns.TURN, turns.turn_row, turns.turn_of),
    Coding(
        IdempotencyRecord,
        "idempotency",
        turns.IDEMPOTENCY,
        turns.idempotency_row,
        turns.idempotency_of,
    ),
    Coding(ReaderRow, "reader", turns.READER, turns.reader_row, turns.reader_of),
    Coding(Attempt, "attempt", spending.ATTEMPT, spending.attempt_row, spending.attempt_of),
    Coding(LedgerLine, "ledger", spending.LEDGER, spending.ledger_row, spending.ledger_of),
    Coding(
        ExecutionRecord,
        "execution",
        spending.EXECUTION,
        spending.execution_row,
        spending.execution_of,
    ),
    Coding(
        Conversation,
        "conversation",
        conversations.CONVERSATION,
        conversations.conversation_row,
        conversations.conversation_of,
    ),
    Coding(
        StoredMessage,
        "message",
        conversations.MESSAGE,
        conversations.message_row,
        conversations.message_of,
    ),
    Coding(
        ApiKey,
        "api_key",
        conversations.API_KEY,
        conversations.api_key_row,
        conversations.api_key_of,
    ),
    Coding(
        Collection,
        "collection",
        knowledge.COLLECTION,
        knowledge.collection_row,
        knowledge.collection_of,
    ),
    Coding(
        Document,
        "document",
        knowledge.DOCUMENT,
        lambda document: knowledge.document_row(KEY, document, document.chunk_count),
        knowledge.document_of,
    ),
    Coding(
        Chunk,
        "chunk",
        knowledge.CHUNK,
        lambda chunk: knowledge.chunk_row(KEY, chunk),
        knowledge.chunk_of,
    ),
]


@pytest.mark.parametrize("coding", CODINGS, ids=lambda coding: coding.table)
def test_what_is_encoded_comes_back(coding: Coding) -> None:
    @given(values(coding.kind))
    def check(value: object) -> None:
        row = coding.encode(value)
        assert len(row) == len(coding.columns)
        assert coding.decode(row) == value

    check()


@pytest.mark.parametrize("coding", CODINGS, ids=lambda coding: coding.table)
def test_the_columns_are_the_tables(coding: Coding) -> None:
    of_table = {column.name for column in metadata.tables[coding.table].columns}
    assert of_table - set(coding.columns) <= {"tenant"}
    assert set(coding.columns) <= of_table
