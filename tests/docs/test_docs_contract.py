"""The documentation against the contract, and against what the server and the client say."""

from __future__ import annotations

import ast
import io
import json
import re
from collections.abc import Iterator
from functools import cache
from operator import attrgetter
from pathlib import Path

import grpc
import pytest
from google.protobuf.descriptor import Descriptor

from adapters.grpc.binding import scope_of
from adapters.grpc.errors import status_of
from adapters.telemetry.structured_log import LogOptions, StructuredLog
from colonnade.client import Client
from colonnade.v1 import errors_pb2, ingestion_pb2
from colonnaded.cli.keys import known_scopes
from colonnaded.container import SERVICES
from core.call import CallFacts
from core.errors import ColonnadeError, Reason
from core.identifiers import CallId
from core.ports.telemetry import CallLine
from core.principal import EVERY_SCOPE
from docs.pages import CODE, DOCS, EVERY, ROOT, blocks, first_cells, name_of, text_of


class TestContract:
    def test_every_reason_is_explained_with_its_status(self) -> None:
        page = text_of(DOCS / "contract/errors.md").partition("## Retry, resume or stop")[0]
        rows = dict(re.findall(r"^\| `([A-Z_]+)` \| (.+?) \|", page, re.MULTILINE))
        names = {name.removeprefix("ERROR_REASON_") for name in errors_pb2.ErrorReason.keys()}  # noqa: SIM118  # an enum, no mapping
        for reason in names - {"UNSPECIFIED"}:
            assert reason in rows
            if reason != "ATTEMPT_FAILED":  # comes beside another alone
                assert f"`{_status(reason)}`" in rows[reason]

    def test_every_reason_of_a_rejection_is_explained(self) -> None:
        for page in ("contract/knowledge.md", "guide/ingesting.md"):
            rows = re.findall(r"^\| `([A-Z_]+)` \|", text_of(DOCS / page), re.MULTILINE)
            names = ingestion_pb2.RejectionReason.keys()
            assert {n.removeprefix("REJECTION_REASON_") for n in names} - {"UNSPECIFIED"} <= {*rows}

    def test_every_method_stands_by_its_scope(self) -> None:
        page = text_of(DOCS / "contract/README.md")
        rows = re.findall(r"^\| `([a-z.]+)` \| (.+?) \|$", page, re.MULTILINE)
        told = {(scope, method) for scope, cell in rows for method in CODE.findall(cell)}
        methods = [method for service in SERVICES for method in service.methods]
        assert told == {(scope_of(method), method.name) for method in methods}

    def test_every_field_is_named(self) -> None:
        pages = "\n".join(text_of(page) for page in sorted((DOCS / "contract").glob("*.md")))
        named = set(re.findall(r"\w+", " ".join(CODE.findall(pages))))
        fields = {
            field.full_name: field.name for message in _messages() for field in message.fields
        }
        assert sorted(full for full, name in fields.items() if name not in named) == []


def _status(reason: str) -> str:
    error = ColonnadeError("")
    error.reason = Reason[reason]
    return status_of(error, CallId("call")).code.name


def _messages() -> Iterator[Descriptor]:
    """Every message of the contract that a method takes or gives, with those inside it."""
    waiting = [
        m for s in SERVICES for each in s.methods for m in (each.input_type, each.output_type)
    ]
    seen: set[str] = set()
    while waiting:
        message = waiting.pop()
        if message.full_name in seen or not message.full_name.startswith("colonnade."):
            continue
        seen.add(message.full_name)
        if not message.GetOptions().map_entry:
            yield message
            waiting += [field.message_type for field in message.fields if field.message_type]


class TestServer:
    def test_every_scope_is_told(self) -> None:
        section = text_of(DOCS / "operations/security.md").partition("## Scopes")[2]
        table = section.partition("\n\nGive each program")[0]
        assert {*first_cells(table)} == {*known_scopes(), EVERY_SCOPE}

    def test_every_field_of_the_log_line_is_told(self) -> None:
        written = io.StringIO()
        StructuredLog(LogOptions(), written).call_ended(
            CallLine("m", CallId("c"), None, None, "OK", "", 1.0, None, 0, CallFacts())
        )
        section = text_of(DOCS / "operations/observability.md").partition("## One log line")[2]
        assert {*first_cells(section.partition("## ")[0])} == json.loads(written.getvalue()).keys()

    @pytest.mark.parametrize("page", EVERY, ids=name_of)
    def test_every_call_of_the_python_client_exists(self, page: Path) -> None:
        for block in blocks(page, "python"):
            compile(block, name_of(page), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        with Client(channel=grpc.insecure_channel("127.0.0.1:1")) as client:
            for path in re.findall(r"\bclient\.([a-z_.]+)\(", text_of(page)):
                assert callable(attrgetter(path)(client))

    @pytest.mark.parametrize("page", EVERY, ids=name_of)
    def test_every_example_of_json_is_json(self, page: Path) -> None:
        for block in blocks(page, "json"):
            json.loads(block)

    @pytest.mark.parametrize("page", sorted((DOCS / "runbooks").glob("*.md")), ids=name_of)
    def test_every_quoted_message_is_one_that_the_code_says(self, page: Path) -> None:
        said = _said()
        for line in "\n".join(blocks(page, "text")).splitlines():
            for fragment in filter(None, map(str.strip, re.split("…|: ", line))):
                assert any(fragment in text for text in said), fragment


@cache
def _said() -> frozenset[str]:
    """The texts in the server's code; an f-string's fixed parts, each by itself."""
    folders = ("core", "services", "adapters", "cmd")
    trees = (ast.parse(file.read_text()) for f in folders for file in (ROOT / f).rglob("*.py"))
    nodes = (node for tree in trees for node in ast.walk(tree))
    return frozenset(n.value for n in nodes if isinstance(n, ast.Constant) and type(n.value) is str)
