"""What the server and a worker say to each other: frames of JSON, each behind its length.

JSON, since nothing that a worker sends may run in the server; frames of bounded size, since the
event loop reads them and must not stop for a large document.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

from core.documents import (
    Block,
    BlockKind,
    ExtractedDocument,
    UnreadableDocument,
    UnreadableReason,
)

LENGTH_BYTES = 4
LARGEST_FRAME = 1024 * 1024
_FRAME_CHARACTERS = 32 * 1024


class MalformedFrameError(ValueError):
    """The other side does not speak this language; it cannot be trusted any more."""


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker is asked: `size` bytes of a document follow the frame."""

    kind: str
    charset: str
    size: int
    text_limit: int
    cpu_seconds: int


@dataclass(frozen=True, slots=True)
class Rejection:
    """The document cannot be read, and why."""

    reason: UnreadableReason
    message: str


def job_frame(job: Job) -> bytes:
    """A job, to be followed by the document's bytes."""
    return _frame(asdict(job))


def job_of(payload: bytes) -> Job:
    """The job that a frame carries."""
    return Job(**json.loads(payload))


def rejection_frame(rejection: Rejection) -> bytes:
    """The last frame of an answer that is no document."""
    return _frame({"rejected": rejection.reason.value, "message": rejection.message})


def document_frames(document: ExtractedDocument) -> Iterator[bytes]:
    """All frames of an answer."""
    entries: list[list[str | int | bool]] = []
    size = 0
    for block in document.blocks:
        for at in range(0, len(block.text), _FRAME_CHARACTERS):
            text = block.text[at : at + _FRAME_CHARACTERS]
            goes_on = at + _FRAME_CHARACTERS < len(block.text)
            entries.append([block.kind.value, block.level, text, goes_on])
            size += len(text) + 64
            if size >= _FRAME_CHARACTERS:
                yield _frame({"blocks": entries})
                entries, size = [], 0
    if entries:
        yield _frame({"blocks": entries})
    yield _frame({"title": document.title})


def _frame(content: object) -> bytes:
    payload = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    return len(payload).to_bytes(LENGTH_BYTES, "big") + payload


@dataclass(slots=True)
class Answer:
    """A worker's answer while it comes in, frame by frame; `whole` once the last has come."""

    text_limit: int
    whole: ExtractedDocument | Rejection | None = None
    _blocks: list[Block] = field(default_factory=list)
    _open: list[str] = field(default_factory=list)
    _characters: int = 0

    def take(self, payload: bytes) -> None:
        """Read one frame. Raises MalformedFrameError."""
        try:
            self._take(json.loads(payload))
        except (ValueError, TypeError) as error:
            raise MalformedFrameError(str(error)) from None

    def _take(self, content: object) -> None:
        match content:
            case {"blocks": list(entries)}:
                for entry in entries:
                    self._take_entry(entry)
            case {"title": str(title)}:
                self.whole = ExtractedDocument(title, tuple(self._blocks))
            case {"rejected": str(reason), "message": str(message)}:
                self.whole = Rejection(UnreadableReason(reason), message)
            case _:
                raise MalformedFrameError("a frame of no known kind")

    def _take_entry(self, entry: object) -> None:
        match entry:
            case [str(kind), int(level), str(text), bool(goes_on)]:
                self._characters += len(text)
                if self._characters > self.text_limit:
                    raise MalformedFrameError("more text than was asked for")
                self._open.append(text)
                if not goes_on:
                    self._blocks.append(Block(BlockKind(kind), "".join(self._open), level))
                    self._open.clear()
            case _:
                raise MalformedFrameError("a block of no known form")


def unreadable(rejection: Rejection) -> UnreadableDocument:
    """The error that a rejection stands for."""
    return UnreadableDocument(rejection.reason, rejection.message)
