"""What an idempotency key may look like."""

from __future__ import annotations

from collections.abc import Iterator

from core.errors import FieldViolation

MAX_LENGTH = 128


def request_id_violations(request_id: str, field: str = "request_id") -> Iterator[FieldViolation]:
    """What is wrong with the key at the path `field`; "" is a call without one and is fine."""
    plain = request_id.isascii() and request_id.isprintable() and " " not in request_id
    if len(request_id) > MAX_LENGTH or not plain:
        yield FieldViolation(
            field,
            f"must be at most {MAX_LENGTH} characters of printable ASCII without blanks; "
            "use a UUID",
        )
