"""Answers in the shapes that the providers document, through the adapters, split anywhere.

Each file below `recordings` is the body of one stream, in the format that its folder names.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from fakes.heard import heard
from fakes.provider_models import HELLO, provider_model
from fakes.replaying_server import Recorded, ReplayingServer
from fakes.written_answers import DETAILS, EXPECTED

RECORDINGS = Path(__file__).parent / "recordings"


def test_every_answer_is_expected_to_say_something() -> None:
    files = {f"{path.parent.name}/{path.stem}" for path in RECORDINGS.glob("*/*.sse")}
    assert files == set(EXPECTED)
    assert set(DETAILS) <= files


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", EXPECTED)
async def test_answers(name: str, seed: int) -> None:
    body = (RECORDINGS / f"{name}.sse").read_bytes()
    async with ReplayingServer(random.Random(seed)) as server:
        server.recorded = Recorded(body)
        model = provider_model(name.partition("/")[0], server.url)
        said = await heard(model, HELLO)
        await model.close()
    assert said == EXPECTED[name]
    for field, value in DETAILS.get(name, {}).items():
        assert getattr(said, field) == value
