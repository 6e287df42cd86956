"""The quick way to another value of the same fields does what the standard one does."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.replacing import replaced


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    count: int = 0
    note: str | None = None


changes = st.fixed_dictionaries(
    {}, optional={"name": st.text(), "count": st.integers(), "note": st.none() | st.text()}
)


@given(st.builds(Row, st.text(), st.integers(), st.none() | st.text()), changes)
def test_it_equals_the_standard_one(row: Row, changed: dict[str, Any]) -> None:
    before = repr(row)
    assert replaced(row, **changed) == replace(row, **changed)
    assert repr(row) == before


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(KeyError):
        replaced(Row("a"), colour="red")
