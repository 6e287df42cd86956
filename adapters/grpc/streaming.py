"""Messages of a servicer as what a call streams."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from google.protobuf.message import Message


class SerializedMessages:
    """Messages of a generator, one at a time, as bytes. See Outgoing."""

    __slots__ = ("_messages", "_next", "over")

    def __init__(self, messages: AsyncGenerator[Message, None]) -> None:
        self.over = False
        self._messages = messages
        self._next: bytes | None = None

    def take(self) -> bytes | None:
        """The next message; None where there is none yet."""
        taken, self._next = self._next, None
        return taken

    async def more(self) -> None:
        """Have the generator make the next one."""
        try:
            message = await anext(self._messages)
        except StopAsyncIteration:
            self.over = True
        else:
            self._next = message.SerializeToString()

    async def aclose(self) -> None:
        """The generator goes no further. Idempotent."""
        await self._messages.aclose()
