"""The contract as its stubs have it."""

from __future__ import annotations

from pathlib import Path

import pytest

import colonnade.v1


@pytest.fixture(scope="session")
def contract_files() -> list[str]:
    """The modules of messages, one a proto file, by name."""
    folder = Path(colonnade.v1.__file__).parent
    return [f"colonnade.v1.{file.stem}" for file in sorted(folder.glob("*_pb2.py"))]
