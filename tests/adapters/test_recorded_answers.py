"""What real providers sent, request by request, through the adapters, split anywhere.

Every recording in the folder that COLONNADE_RECORDINGS names, else in `provider-wire` of
COLONNADE_DATA, is a test. A plain reading of the whole body says what must come out of it; a
response that a plain reading finds no end in must be an error, and so must every refusal.
"""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path
from typing import Any

import pytest
import yaml

from adapters.models.openai_dialects import dialect_of
from core.generation import ModelErrorKind as Kind
from fakes.heard import Heard, heard
from fakes.plain_readings import READINGS, events_in, tags_apart
from fakes.provider_models import HELLO, provider_model
from fakes.recordings import Exchange, exchanges, recorded_folder, recording_files
from fakes.replaying_server import Recorded, ReplayingServer

FOLDER = recorded_folder()
FILES = recording_files(FOLDER)
WRITTEN = sorted((Path(__file__).parent / "recordings").glob("*/*.sse"))
REFUSALS = {
    400: {Kind.BAD_REQUEST, Kind.CONTEXT_TOO_LONG, Kind.CONTENT_FILTERED, Kind.AUTHENTICATION},
    401: {Kind.AUTHENTICATION},
    403: {Kind.AUTHENTICATION, Kind.CONTENT_FILTERED},
    404: {Kind.BAD_REQUEST},
    429: {Kind.RATE_LIMITED},
}
FAILURES = {Kind.OVERLOADED, Kind.TIMEOUT, Kind.UNSUPPORTED}


def name_of(file: Path) -> str:
    assert FOLDER is not None
    return str(file.relative_to(FOLDER).with_suffix(""))


@pytest.mark.skipif(not FILES, reason="no recordings: see COLONNADE_RECORDINGS, COLONNADE_DATA")
@pytest.mark.parametrize("file", FILES, ids=name_of)
async def test_what_a_provider_sent(file: Path) -> None:
    draw = random.Random(file.name)
    async with ReplayingServer(draw) as server:
        for exchange in exchanges(file):
            server.recorded = exchange.response
            said = await _listen(exchange, server.url)
            if exchange.response.status != 200:
                _check_refusal(said, exchange)
            else:
                _check_answer(said, exchange)


@pytest.mark.parametrize("file", WRITTEN, ids=lambda file: f"{file.parent.name}/{file.stem}")
async def test_the_plain_reading_agrees_on_answers_of_our_own(file: Path) -> None:
    exchange = _written(file)
    async with ReplayingServer(random.Random(file.name)) as server:
        server.recorded = exchange.response
        _check_answer(await _listen(exchange, server.url), exchange)


def test_a_new_recording_is_a_new_test(tmp_path: Path) -> None:
    """VCR's own layout: bodies as text or bytes, packed or parsed, other company passed over."""
    body = (WRITTEN[0]).read_text()
    recording = {
        "interactions": [
            _interaction("https://api.openai.com/v1/files", body),
            _interaction("https://api.openai.com/v1/chat/completions", body),
            _interaction("https://api.openai.com/v1/chat/completions", gzip.compress(b"{}")),
            _interaction("https://a/openai/deployments/d/chat/completions?api-version=1", body),
        ]
    }
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "recorded.yaml").write_text(yaml.safe_dump(recording))
    (file,) = recording_files(tmp_path)
    found = list(exchanges(file))
    assert [(one.number, one.format) for one in found] == [(1, "chat"), (2, "chat"), (3, "azure")]
    assert found[0].response.body == body.encode()
    assert found[1].response.body == b"{}"


def _written(file: Path) -> Exchange:
    return Exchange(0, file.parent.name, "http://a/v1", Recorded(file.read_bytes()))


def _interaction(uri: str, body: object) -> dict[str, object]:
    headers = {"Content-Type": ["text/event-stream"]}
    response = {"status": {"code": 200}, "headers": headers, "body": {"string": body}}
    return {"request": {"method": "POST", "uri": uri, "headers": {}}, "response": response}


async def _listen(exchange: Exchange, url: str) -> Heard:
    settings: dict[str, Any] = {}
    if exchange.format == "chat":
        settings["dialect"] = dialect_of(exchange.uri)
    model = provider_model(exchange.format, url, **settings)
    try:
        return await heard(model, HELLO)
    finally:
        await model.close()


def _check_answer(said: Heard, exchange: Exchange) -> None:
    body = exchange.response.body
    values = events_in(body) if exchange.is_stream else _whole(body)
    broken = any(value.get("error") for value in values)
    expected = None if broken or not values else READINGS[exchange.format](values)
    if expected and exchange.format == "chat" and dialect_of(exchange.uri).thoughts == "tags":
        expected = tags_apart(expected)
    if expected is None:
        assert said.error is not None, exchange.number
    else:
        assert said == expected, exchange.number
        assert len(set(said.call_ids)) == len(said.calls)


def _whole(body: bytes) -> list[Any]:
    """A response that is no stream; Google's may be a list of chunks."""
    value = json.loads(body)
    return value if isinstance(value, list) else [value]


def _check_refusal(said: Heard, exchange: Exchange) -> None:
    status = exchange.response.status
    assert said.error in REFUSALS.get(status, FAILURES if status >= 500 else {Kind.BAD_REQUEST})
    after = exchange.response.headers.get("retry-after", "")
    if after.isdecimal() and status in (429, 503):
        assert said.retry_after == float(after)


def test_a_folder_of_recordings_that_is_named_is_there() -> None:
    assert FOLDER is None or FILES
