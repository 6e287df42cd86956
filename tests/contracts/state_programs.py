"""Random programs for a state: transactions of small steps over few names, so that they collide."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from decimal import Decimal

from hypothesis import strategies as st

from contracts.state_samples import (
    ACME,
    ANN,
    OTHER,
    a_chunk,
    a_collection,
    a_conversation,
    a_document,
    a_line,
    a_message,
    a_turn,
    an_api_key,
    an_attempt,
    an_execution,
    an_id,
    events,
    later,
)
from core.budgets.account import Account
from core.budgets.rows import AlertRow, BudgetRow
from core.identifiers import (
    ApiKeyId,
    BootId,
    ChunkId,
    CollectionName,
    ConversationId,
    DocumentId,
    MessageId,
    Position,
    Seconds,
    TurnId,
)
from core.pages import Cursor
from core.ports.cache_rows import CachedRow
from core.ports.state import EVERY_TENANT, Scope, Transaction
from core.turns.fencing import Extension
from core.turns.rows import Attempt, EndReason, ReaderRow, Turn, TurnState

Step = Callable[[Transaction], Awaitable[object] | None]


@dataclass(frozen=True)
class Block:
    """One transaction, or snapshot, of a program."""

    scope: Scope
    steps: list[Step]
    raises: bool
    is_snapshot: bool


TEN = Decimal(10)
numbers = st.integers(1, 3)
conversations = st.sampled_from(["talk", "else"]).map(ConversationId)
parents = st.sampled_from([None, MessageId("m1")])
turn_ids = numbers.map(lambda n: TurnId(f"turn-{n}"))
tenants = st.sampled_from([ACME, ACME, ACME, OTHER])
states = st.sampled_from([TurnState.RUNNING, *TurnState])
names = st.sampled_from(["docs", "notes"]).map(CollectionName)
documents = st.sampled_from(["d1", "d2"]).map(DocumentId)
chunk_names = st.lists(st.sampled_from("abcd"), unique=True, max_size=3)
limits = st.sampled_from([1, 2, 100])
cancels = st.sampled_from([None, None, EndReason.CANCELLED])

turns = st.builds(
    lambda id, tenant, conversation, parent, state, at, ended, cancel, forgotten: a_turn(
        id,
        tenant,
        conversation=conversation,
        parent=parent,
        state=state,
        created_at=later(at),
        lease_until=later(at),
        deadline_at=later(at + 1),
        next_seq=at,
        wait_until=later(at),
        ended_at=None if ended is None else later(ended),
        cancel=cancel,
        forgotten=forgotten,
    ),
    turn_ids,
    tenants,
    st.none() | conversations,
    parents,
    states,
    numbers,
    st.none() | numbers,
    cancels,
    st.booleans(),
)
extensions = st.lists(
    st.builds(Extension, turn_ids, st.integers(1, 2), numbers, limits, st.booleans(), cancels),
    unique_by=lambda extension: extension.turn,
)
readers = st.builds(
    lambda id, tenant, boot, at: ReaderRow(id, tenant, BootId(f"boot-{boot}"), later(at)),
    turn_ids,
    tenants,
    numbers,
    numbers,
)
some_conversations = st.builds(a_conversation, conversations, st.just(ANN), numbers)
messages = st.builds(
    lambda n, parent, at, home: a_message(f"m{n}", parent, at, home),
    numbers,
    parents,
    numbers,
    conversations,
)
stored = st.builds(
    lambda document, ids: [a_chunk(id, document, at) for at, id in enumerate(ids)],
    documents,
    chunk_names,
)
cursors = st.none() | st.builds(
    lambda at, id: Cursor(later(at).isoformat(), id), numbers, st.sampled_from(["m1", "talk"])
)


def step(
    make: Callable[..., Step], *arguments: st.SearchStrategy[object]
) -> st.SearchStrategy[Step]:
    """A strategy for one kind of step."""
    return st.builds(make, *arguments)


def update(rows: list[Turn]) -> Step:
    """Turns are locked, as the port has it, before their rows are replaced, some of them twice."""

    async def done(tx: Transaction) -> object:
        found = await tx.turns.lock([row.id for row in rows])
        for row in rows:
            tx.turns.update(row)
        return found

    return done


def book(attempt: Attempt) -> Step:
    """An attempt is replaced that is there."""

    async def done(tx: Transaction) -> object:
        found = await tx.spending.attempts(attempt.unit)
        if attempt.number in {each.number for each in found}:
            tx.spending.update(replace(attempt, booked=True))
        return found

    return done


turn_steps = st.one_of(
    step(lambda turn: lambda tx: tx.turns.insert(turn), turns),
    step(update, st.lists(turns, min_size=1, max_size=4)),
    step(lambda id: lambda tx: tx.turns.get(id), turn_ids),
    step(lambda ids: lambda tx: tx.turns.lock(ids), st.lists(turn_ids, max_size=3)),
    step(
        lambda wanted, n: lambda tx: tx.turns.extend(wanted, later(n), Seconds(2.0), Seconds(1.0)),
        extensions,
        numbers,
    ),
    step(lambda c, parent: lambda tx: tx.turns.busy(c, parent), conversations, parents),
    step(lambda c: lambda tx: tx.turns.any_busy(c), conversations),
    step(lambda limit: lambda tx: tx.turns.running(limit), limits),
    step(lambda n, limit: lambda tx: tx.turns.due(later(n), later(n), limit), numbers, limits),
    step(lambda n, limit: lambda tx: tx.turns.to_wake(later(n), limit), numbers, limits),
    step(lambda n, limit: lambda tx: tx.turns.to_forget(later(n), limit), numbers, limits),
    step(lambda n, limit: lambda tx: tx.turns.to_compact(later(n), limit), numbers, limits),
    step(
        lambda kinds, limit, at: lambda tx: tx.turns.list(kinds, limit, at),
        st.frozensets(st.sampled_from(TurnState)),
        limits,
        cursors,
    ),
    step(lambda turn: lambda tx: tx.idempotency.forget(turn), turns),
    step(lambda turn: lambda tx: tx.events.delete(turn), turns),
    step(lambda row: lambda tx: tx.readers.put(row), readers),
    step(lambda row: lambda tx: tx.readers.leave(row.turn, row.boot), readers),
    step(lambda id, n: lambda tx: tx.readers.live([id], later(n)), turn_ids, numbers),
    step(lambda id: lambda tx: tx.readers.of(id), turn_ids),
    step(lambda id: lambda tx: tx.readers.end(id), turn_ids),
    step(lambda n: lambda tx: tx.readers.expire(later(n)), numbers),
    step(lambda n, t: lambda tx: tx.idempotency.insert(an_id(f"r{n}", t)), numbers, tenants),
    step(lambda n, t: lambda tx: tx.idempotency.find(an_id(f"r{n}", t).key), numbers, tenants),
    step(lambda t, first: lambda tx: tx.events.append(t, events(first, 2)), turns, numbers),
    step(lambda t, n, limit: lambda tx: tx.events.read(t, n, limit), turn_ids, numbers, limits),
)
spending_steps = st.one_of(
    step(lambda n, t: lambda tx: tx.spending.begin(an_attempt(n, "turn-1", t)), numbers, tenants),
    step(lambda n, t: book(an_attempt(n, "turn-1", t)), numbers, tenants),
    st.just(lambda tx: tx.spending.attempts("turn-1")),
    step(
        lambda n, cost, guess: lambda tx: tx.spending.book(a_line(n, str(cost), estimated=guess)),
        numbers,
        numbers,
        st.booleans(),
    ),
    st.just(lambda tx: tx.spending.lines("turn-1")),
    step(lambda id, t: lambda tx: tx.spending.record(an_execution(id, t)), turn_ids, tenants),
    step(lambda id: lambda tx: tx.spending.execution(id), turn_ids),
)
budgets = st.builds(
    lambda n, t, version: BudgetRow(f"b{n}", t, "daily", Account(), version),
    numbers,
    tenants,
    st.integers(0, 2),
)
alerts = st.builds(
    lambda n, t, share: AlertRow(f"b{n}", t, later(0), share, TEN, TEN, "USD", later(n)),
    numbers,
    tenants,
    st.sampled_from([Decimal("0.5"), Decimal(1)]),
)
budget_steps = st.one_of(
    step(lambda row: lambda tx: tx.budgets.replace(row), budgets),
    step(lambda n: lambda tx: tx.budgets.get(f"b{n}"), numbers),
    step(lambda n: lambda tx: tx.budgets.list("", n, None), limits),
    step(lambda alert: lambda tx: tx.budgets.tell(alert), alerts),
    step(lambda n, limit: lambda tx: tx.budgets.alerts(f"b{n}", limit), numbers, limits),
    step(lambda n, limit: lambda tx: tx.budgets.held("boot-1", ("", n), limit), numbers, limits),
    step(
        lambda n, t: lambda tx: tx.spending.begin(replace(an_attempt(n, "u", t), holder="boot-1")),
        numbers,
        tenants,
    ),
)
conversation_steps = st.one_of(
    step(lambda c: lambda tx: tx.conversations.insert(c), some_conversations),
    step(lambda c: lambda tx: tx.conversations.update(c), some_conversations),
    step(lambda id: lambda tx: tx.conversations.delete(id), conversations),
    step(lambda id: lambda tx: tx.conversations.get(id), conversations),
    step(lambda n, at: lambda tx: tx.conversations.list(ANN, n, at), limits, cursors),
    step(lambda m: lambda tx: tx.conversations.add_message(m), messages),
    step(
        lambda c, n: lambda tx: tx.conversations.message(c, MessageId(f"m{n}")),
        conversations,
        numbers,
    ),
    step(
        lambda c, n, limit: lambda tx: tx.conversations.branch(c, MessageId(f"m{n}"), limit),
        conversations,
        numbers,
        limits,
    ),
    step(
        lambda c, n, at: lambda tx: tx.conversations.messages(c, n, at),
        conversations,
        limits,
        cursors,
    ),
)
knowledge_steps = st.one_of(
    step(
        lambda name, t: lambda tx: tx.knowledge.insert_collection(a_collection(name, t)),
        names,
        tenants,
    ),
    step(lambda name: lambda tx: tx.knowledge.delete_collection(name), names),
    step(lambda name: lambda tx: tx.knowledge.lock_collection(name), names),
    step(lambda limit: lambda tx: tx.knowledge.collections(limit, None), limits),
    step(
        lambda name, chunks, uri, n: (
            lambda tx: tx.knowledge.put_document(
                name,
                a_document(chunks[0].chunk.document if chunks else "d1", f"u{uri}"),
                chunks,
                Position(n),
            )
        ),
        names,
        stored,
        numbers,
        numbers,
    ),
    step(
        lambda name, id, n: lambda tx: tx.knowledge.delete_document(name, id, Position(n)),
        names,
        documents,
        numbers,
    ),
    step(lambda name, id: lambda tx: tx.knowledge.document(name, id), names, documents),
    step(lambda name, limit: lambda tx: tx.knowledge.documents(name, limit, None), names, limits),
    step(lambda name: lambda tx: tx.knowledge.documents_by_uri(name, ["u1", "u3"]), names),
    step(lambda name, id: lambda tx: tx.knowledge.chunk_ids(name, id), names, documents),
    step(
        lambda name, ids: lambda tx: tx.knowledge.chunks(name, list(map(ChunkId, ids))),
        names,
        chunk_names,
    ),
    step(
        lambda name, n, limit: lambda tx: tx.knowledge.changes(name, Position(n - 1), limit),
        names,
        numbers,
        limits,
    ),
)
key_steps = st.one_of(
    step(
        lambda n, digest, t: lambda tx: tx.api_keys.insert(an_api_key(f"k{n}", f"d{digest}", t)),
        numbers,
        numbers,
        tenants,
    ),
    step(lambda n: lambda tx: tx.api_keys.revoke(ApiKeyId(f"k{n}"), later(n)), numbers),
    step(lambda n: lambda tx: tx.api_keys.find(f"d{n}"), numbers),
    st.just(lambda tx: tx.api_keys.list()),
)
cached = st.builds(
    lambda n, t, age, size: CachedRow(
        t, "answer", f"c{n}", b"x" * size, later(age), later(age + 2)
    ),
    numbers,
    tenants,
    numbers,
    numbers,
)
cached_steps = st.one_of(
    step(lambda row: lambda tx: tx.cached.put(row), cached),
    step(lambda n: lambda tx: tx.cached.get("answer", [f"c{n}"]), numbers),
    step(lambda n, size: lambda tx: tx.cached.bound("answer", n, size), limits, limits),
    step(lambda n, limit: lambda tx: tx.cached.sweep(later(n), limit), numbers, limits),
)
SUBJECTS = {
    "cached": cached_steps,
    "turns": turn_steps,
    "spending": spending_steps,
    "budgets": budget_steps,
    "conversations": st.one_of(conversation_steps, conversation_steps, turn_steps),
    "knowledge": knowledge_steps,
    "keys": key_steps,
}


FINAL: list[Step] = [
    *(lambda tx, n=n: tx.turns.get(TurnId(f"turn-{n}")) for n in range(1, 4)),
    *(lambda tx, n=n: tx.events.read(TurnId(f"turn-{n}"), 0, 100) for n in range(1, 4)),
    *(lambda tx, n=n: tx.readers.of(TurnId(f"turn-{n}")) for n in range(1, 4)),
    *(lambda tx, n=n: tx.idempotency.find(an_id(f"r{n}").key) for n in range(1, 4)),
    *(lambda tx, n=n: tx.spending.execution(TurnId(f"turn-{n}")) for n in range(1, 4)),
    lambda tx: tx.spending.attempts("turn-1"),
    lambda tx: tx.spending.lines("turn-1"),
    lambda tx: tx.conversations.list(ANN, 100, None),
    lambda tx: tx.conversations.messages(ConversationId("talk"), 100, None),
    lambda tx: tx.conversations.messages(ConversationId("else"), 100, None),
    lambda tx: tx.knowledge.collections(100, None),
    lambda tx: tx.knowledge.documents(CollectionName("docs"), 100, None),
    lambda tx: tx.knowledge.changes(CollectionName("docs"), Position(0), 100),
    lambda tx: tx.knowledge.changes(CollectionName("notes"), Position(0), 100),
    lambda tx: tx.api_keys.list(),
]
"""Reads of all that a program can have left behind."""


def programs(steps: st.SearchStrategy[Step]) -> st.SearchStrategy[list[Block]]:
    """Up to a dozen blocks of such steps; most of one tenant, so that their rows meet."""
    block = st.builds(
        Block,
        st.sampled_from([ACME, ACME, ACME, EVERY_TENANT, OTHER]),
        st.lists(steps, min_size=1, max_size=5),
        st.sampled_from([False, False, False, True]),
        st.sampled_from([False, False, True]),
    )
    ending = [Block(tenant, FINAL, False, True) for tenant in (ACME, OTHER)]
    return st.lists(block, min_size=1, max_size=12).map(lambda blocks: blocks + ending)
