"""One vocabulary: the core's reasons are those of the contract."""

from __future__ import annotations

from colonnade.v1.errors_pb2 import ErrorReason
from core.errors import Reason

PREFIX = "ERROR_REASON_"


def test_the_core_and_the_contract_name_the_same_reasons() -> None:
    contract = {name.removeprefix(PREFIX) for name in ErrorReason.keys()}  # noqa: SIM118
    assert contract - {"UNSPECIFIED"} == {reason.value for reason in Reason}
