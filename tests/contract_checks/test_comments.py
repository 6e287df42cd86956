"""What each method's comment must tell: its errors, and whether it is safe to retry."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PROTOS = Path(__file__).parents[2] / "proto" / "colonnade" / "v1"
METHOD = re.compile(r"((?:^  //.*\n)+)  rpc (\w+)\(", re.MULTILINE)
REASON = re.compile(r"((?:^  //.*\n)+)  ERROR_REASON_(\w+) = [1-9]", re.MULTILINE)

METHODS = [
    pytest.param(comment, id=name)
    for file in sorted(PROTOS.glob("*.proto"))
    for comment, name in METHOD.findall(file.read_text(encoding="utf-8"))
]
REASONS = [
    pytest.param(comment, id=name)
    for comment, name in REASON.findall((PROTOS / "errors.proto").read_text(encoding="utf-8"))
    if name != "ATTEMPT_FAILED"
]


@pytest.mark.parametrize("comment", METHODS)
def test_a_method_tells_its_errors_and_whether_to_retry(comment: str) -> None:
    assert "Errors" in comment or "errors: as" in comment
    assert re.search(r"retry|at most once", comment)


@pytest.mark.parametrize("comment", REASONS)
def test_a_reason_tells_its_status_cause_cure_and_metadata(comment: str) -> None:
    words = " ".join(line.strip(" /") for line in comment.splitlines())
    assert re.match(r"[A-Z_]+( or [A-Z_]+)?\. Cause: .+ Cure: .+ Metadata: .+", words)
