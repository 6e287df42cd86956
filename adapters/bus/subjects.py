"""Notices as NATS subjects and payloads.

A subject is read by the server: dots part its tokens, `*` and `>` stand for any. Ids are others'
text, so each is encoded into one token that has none of these and that no other id has.
"""

from __future__ import annotations

import hashlib
import json
import re

from core.identifiers import BootId, TenantId, TurnId
from core.ports.bus import Notice, OwnerWanted, Topic, TurnChanged

LONGEST_TOKEN = 128
"""A longer one is replaced by its hash: the server takes 4 KB for a whole command."""
LARGEST_PAYLOAD = 16 * 1024

_PLAIN = re.compile(r"[A-Za-z0-9_-]+")
_ODD = re.compile(rb"[^A-Za-z0-9_-]")


def token(id: str) -> str:
    """The id as one token; different ids have different tokens.

    Plain ids stay as they are. Any other byte of its UTF-8 becomes `=` and two upper-case hex
    digits, an empty id `=`, and what is then too long `=sha256` and the digest.
    """
    if len(id) <= LONGEST_TOKEN and _PLAIN.fullmatch(id):
        return id
    raw = id.encode("utf-8", "surrogatepass")
    encoded = _ODD.sub(lambda byte: b"=%02X" % byte[0][0], raw).decode("ascii") or "="
    if len(encoded) <= LONGEST_TOKEN:
        return encoded
    return f"=sha256{hashlib.sha256(raw).hexdigest()}"


def subject(prefix: str, topic: Topic) -> str:
    """Where notices on this topic are published."""
    if isinstance(topic, TurnChanged):
        return f"{prefix}.turn.{token(topic.tenant)}.{token(topic.turn)}"
    if isinstance(topic, str):
        return f"{prefix}.owner.{token(topic)}"
    return f"{prefix}.everyone.{topic.value}"


def payload(notice: Notice) -> bytes:
    """What a notice says beyond its subject."""
    if isinstance(notice, OwnerWanted):
        return json.dumps([notice.tenant, notice.turn]).encode()
    return b""


def notice(topic: Topic, data: bytes) -> Notice | None:
    """The notice that arrived on a topic; None where the data is none of ours."""
    if not isinstance(topic, str):
        return topic
    if len(data) > LARGEST_PAYLOAD:
        return None
    try:
        said = json.loads(data)
    except ValueError:
        return None
    match said:
        case [str(tenant), str(turn)]:
            return OwnerWanted(BootId(topic), TenantId(tenant), TurnId(turn))
    return None
