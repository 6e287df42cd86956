"""OpenMP's threads sleep while they wait, unless the operator wants otherwise."""

from __future__ import annotations

import os

import pytest

from adapters.embedders.e5_nano import e5_nano


@pytest.mark.parametrize(("chosen", "expected"), [(None, "passive"), ("active", "active")])
async def test_the_operators_choice_goes_before_ours(
    chosen: str | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    if chosen is not None:
        monkeypatch.setenv("OMP_WAIT_POLICY", chosen)

    embedder = e5_nano(threads=2)

    assert os.environ["OMP_WAIT_POLICY"] == expected
    await embedder.close()
