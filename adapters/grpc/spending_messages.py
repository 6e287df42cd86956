"""What was spent, as the contract has it."""

from __future__ import annotations

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from adapters.grpc import values
from adapters.grpc.violations import known
from colonnade.v1 import spending_pb2
from core.budgets.rules import Subject
from core.errors import InvalidInput
from services.spending_report import Spent

_SUBJECTS = {
    spending_pb2.SPENDING_SUBJECT_UNSPECIFIED: Subject.TENANT,
    spending_pb2.SPENDING_SUBJECT_TENANT: Subject.TENANT,
    spending_pb2.SPENDING_SUBJECT_USER: Subject.USER,
    spending_pb2.SPENDING_SUBJECT_FEATURE: Subject.FEATURE,
    spending_pb2.SPENDING_SUBJECT_MODEL: Subject.MODEL,
    spending_pb2.SPENDING_SUBJECT_KEY: Subject.KEY,
}


def subject(request: spending_pb2.GetSpendingRequest) -> Subject:
    """What is told apart. Raises InvalidInput."""
    return known(_SUBJECTS, request.by, "by")


def time(request: spending_pb2.GetSpendingRequest, field: str) -> datetime | None:
    """A time that may be left out. Raises InvalidInput for one that no calendar has."""
    if not request.HasField(field):  # type: ignore[arg-type] # the names are ours
        return None
    stamp: Timestamp = getattr(request, field)
    try:
        return stamp.ToDatetime(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidInput.at(field, "is not a time between the years 1 and 9999") from error


def spending(spent: Spent) -> spending_pb2.Spending:
    """One entry of a report."""
    message = spending_pb2.Spending(
        tenant=spent.tenant,
        value=spent.value,
        calls=spent.calls,
        unpriced_calls=spent.unpriced,
        estimated_calls=spent.estimated,
    )
    values.put_money(message.cost, spent.cost, spent.currency)
    return message
