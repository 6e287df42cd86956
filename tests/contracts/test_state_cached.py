"""The state's rows of what may be given again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from contracts.state_samples import ACME, OTHER, later
from core.identifiers import TenantId
from core.ports.cache_rows import CachedRow
from core.ports.state import EVERY_TENANT, State

ROW = CachedRow(ACME, "answer", "aa", b"\x01\x00'\\\xff", later(0), later(60))


async def put(state: State, *rows: CachedRow) -> None:
    async with state.transaction(EVERY_TENANT) as tx:
        for row in rows:
            tx.cached.put(row)


async def kept(
    state: State, *keys: str, kind: str = "answer", tenant: TenantId = ACME
) -> Sequence[CachedRow]:
    async with state.snapshot(tenant) as view:
        return sorted(await view.cached.get(kind, keys), key=lambda row: row.key)


async def test_a_value_is_kept_as_it_was_written_and_the_next_takes_its_place(state: State) -> None:
    await put(state, ROW)
    assert await kept(state, "aa", "bb") == [ROW]
    newer = replace(ROW, body=b"", made_at=later(5), expires_at=later(65))
    await put(state, newer, replace(ROW, key="bb"))
    assert await kept(state, "aa", "bb", "aa", "cc") == [newer, replace(ROW, key="bb")]
    assert await kept(state) == []


async def test_each_kind_has_keys_of_its_own(state: State) -> None:
    vector = replace(ROW, kind="vector", body=b"v")
    await put(state, ROW, vector)
    assert await kept(state, "aa") == [ROW]
    assert await kept(state, "aa", kind="vector") == [vector]


async def test_another_tenants_value_is_not_there(state: State) -> None:
    theirs = replace(ROW, tenant=OTHER, body=b"theirs")
    await put(state, ROW, theirs)
    assert await kept(state, "aa") == [ROW]
    assert await kept(state, "aa", tenant=OTHER) == [theirs]
    async with state.transaction(OTHER) as tx:
        with pytest.raises(ValueError, match="another tenant"):
            tx.cached.put(ROW)
        tx.cached.bound("answer", 0, 0)
        assert await tx.cached.sweep(later(100), 9) == 0
    assert await kept(state, "aa") == [ROW]
    assert await kept(state, "aa", tenant=OTHER) == []


async def test_whose_they_are_has_to_be_said(state: State) -> None:
    async with state.transaction(EVERY_TENANT) as tx:
        with pytest.raises(ValueError, match="tenant"):
            await tx.cached.get("answer", ["aa"])
        with pytest.raises(ValueError, match="tenant"):
            tx.cached.bound("answer", 1, 1)


@pytest.mark.parametrize(
    ("rows", "size", "left"), [(2, 99, ["c", "d"]), (9, 11, ["d"]), (9, 25, ["b", "c", "d"])]
)
async def test_the_newest_are_left(state: State, rows: int, size: int, left: list[str]) -> None:
    made = [replace(ROW, key=key, made_at=later(n)) for n, key in enumerate("abcd")]
    others = [replace(ROW, key="a", kind="vector"), replace(ROW, key="a", tenant=OTHER)]
    bodies = (10, 10, 5, 10)
    await put(state, *[replace(row, body=b"x" * n) for row, n in zip(made, bodies, strict=True)])
    await put(state, *others)
    async with state.transaction(ACME) as tx:
        tx.cached.bound("answer", rows, size)
    assert [row.key for row in await kept(state, *"abcd")] == left
    assert await kept(state, "a", kind="vector") == others[:1]
    assert await kept(state, "a", tenant=OTHER) == others[1:]


async def test_what_has_expired_is_swept_some_at_a_time(state: State) -> None:
    old = [replace(ROW, key=key, expires_at=later(n)) for n, key in enumerate("abcd")]
    await put(state, *old, replace(ROW, tenant=OTHER, expires_at=later(1)))
    async with state.transaction(EVERY_TENANT) as tx:
        assert await tx.cached.sweep(later(2), 2) == 2
        assert await tx.cached.sweep(later(2), 9) == 2
        assert await tx.cached.sweep(later(2), 9) == 0
    assert await kept(state, *"abcd") == old[3:]
    assert await kept(state, "aa", tenant=OTHER) == []
