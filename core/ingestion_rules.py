"""What a client may say of a document that it sends."""

from __future__ import annotations

import re
from collections.abc import Sequence

from core.errors import FieldViolation
from core.ingestion import IncomingDocument

_LONGEST_URI, _LONGEST_TITLE, _LONGEST_VALUE = 1000, 500, 1000
_MOST_ATTRIBUTES = 32
_ATTRIBUTE = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_SHA256 = re.compile(r"[0-9A-Fa-f]{64}")


def declaration_problems(document: IncomingDocument) -> Sequence[FieldViolation]:
    """Every rule of the contract that the document's own fields break; the content is not read."""
    problems: list[FieldViolation] = []
    if not 1 <= len(document.uri) <= _LONGEST_URI:
        problems.append(FieldViolation("uri", f"must have 1 to {_LONGEST_URI} characters"))
    if len(document.title) > _LONGEST_TITLE:
        problems.append(FieldViolation("title", f"must have at most {_LONGEST_TITLE} characters"))
    if document.sha256 and not _SHA256.fullmatch(document.sha256):
        problems.append(FieldViolation("sha256", "must be 64 hexadecimal digits"))
    if len(document.attributes) > _MOST_ATTRIBUTES:
        problems.append(FieldViolation("attributes", f"must be at most {_MOST_ATTRIBUTES}"))
    for key, value in document.attributes.items():
        if not _ATTRIBUTE.fullmatch(key) or len(value) > _LONGEST_VALUE:
            problems.append(
                FieldViolation(
                    f"attributes[{key[:64]!r}]",
                    "must have a key of 1 to 64 characters of A-Z a-z 0-9 _ . - and a value of "
                    f"at most {_LONGEST_VALUE}",
                )
            )
    return problems
