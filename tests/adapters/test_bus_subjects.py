"""Ids of others as tokens of NATS subjects."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.bus.subjects import LONGEST_TOKEN, notice, payload, subject, token
from core.identifiers import BootId, TenantId, TurnId
from core.ports.bus import Everyone, OwnerWanted, TurnChanged

SAFE = re.compile(r"[A-Za-z0-9_=-]+")
ids = st.text() | st.text(alphabet=".*> =%\r\nab") | st.text(min_size=200, max_size=600)


@given(ids)
def test_an_id_becomes_one_short_token_without_wildcards(id: str) -> None:
    assert SAFE.fullmatch(token(id))
    assert len(token(id)) <= LONGEST_TOKEN


@given(ids, ids)
def test_different_ids_have_different_tokens(one: str, other: str) -> None:
    assert (token(one) == token(other)) == (one == other)


@pytest.mark.parametrize("id", ["=", "=2E", "=sha256", "=3D2E", "."])
def test_what_looks_encoded_is_encoded_again(id: str) -> None:
    assert token(id).startswith("=")
    assert token(token(id)) != token(id)


def test_plain_ids_stay_readable() -> None:
    changed = TurnChanged(TenantId("acme"), TurnId("turn_01-Ab"))
    assert subject("colonnade", changed) == "colonnade.turn.acme.turn_01-Ab"
    assert subject("colonnade", BootId("b1")) == "colonnade.owner.b1"
    assert subject("colonnade", Everyone.RELOAD) == "colonnade.everyone.reload"


@given(ids, ids)
def test_a_subject_has_as_many_tokens_whatever_the_ids(tenant: str, turn: str) -> None:
    changed = TurnChanged(TenantId(tenant), TurnId(turn))
    assert subject("c", changed).count(".") == 3


@given(ids, ids, ids)
def test_what_an_owner_is_told_arrives_as_it_was(owner: str, tenant: str, turn: str) -> None:
    wanted = OwnerWanted(BootId(owner), TenantId(tenant), TurnId(turn))
    assert notice(BootId(owner), payload(wanted)) == wanted


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"null", b"[]", b'["a"]', b'["a", 1]', b'["a","b","c"]', b"\xff", b"[" * 20_000],
)
def test_what_is_none_of_ours_is_no_notice(data: bytes) -> None:
    assert notice(BootId("b1"), data) is None


def test_a_turns_notice_needs_no_payload() -> None:
    changed = TurnChanged(TenantId("acme"), TurnId("t1"))
    assert payload(changed) == b""
    assert notice(changed, b"anything") == changed
