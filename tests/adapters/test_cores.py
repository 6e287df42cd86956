from __future__ import annotations

import os
from pathlib import Path

import pytest

from adapters.models.cores import usable_cores

ALL = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("limit", "cores"),
    [
        ("100000 100000", 1),
        ("50000 100000", 1),
        ("6400000 100000", ALL),
        ("max 100000", ALL),
        ("0 0", ALL),
        ("nonsense", ALL),
        (None, ALL),
    ],
)
def test_a_containers_limit_counts(tmp_path: Path, limit: str | None, cores: int) -> None:
    file = tmp_path / "cpu.max"
    if limit is not None:
        file.write_text(limit)
    assert usable_cores(file) == min(ALL, cores)
