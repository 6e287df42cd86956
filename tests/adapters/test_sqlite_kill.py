"""A process is killed while it commits: what it was told is there, and nothing is half."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHILD = Path(__file__).with_name("sqlite_child.py")
LONGEST_LIFE_LINES = 400


def acknowledged_before_kill(path: Path, seed: int) -> set[int]:
    """The numbers that a child printed before it was killed somewhere among its commits."""
    lines = random.Random(seed).randint(1, LONGEST_LIFE_LINES)
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    command = [sys.executable, str(CHILD), str(path), str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as child:
        assert child.stdout is not None
        seen = [child.stdout.readline() for _ in range(lines)]
        child.kill()
        seen += child.stdout.readlines()
    return {int(line) for line in seen if line.endswith("\n")}


def stored(path: Path) -> dict[int, tuple[int, int]]:
    """Each turn's number, with the events that it should have and those that it has."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        rows = connection.execute(
            "SELECT id, next_seq - 1, (SELECT count(*) FROM event WHERE turn = turn.id) FROM turn"
        )
        return {int(id.removeprefix("turn-")): (due, there) for id, due, there in rows}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_what_was_acknowledged_is_there_and_nothing_is_half(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "state.sqlite"
    acknowledged = acknowledged_before_kill(path, seed)
    found = stored(path)
    assert acknowledged
    assert acknowledged <= found.keys()
    assert all(due == there for due, there in found.values())
