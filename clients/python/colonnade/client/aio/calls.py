"""How the asyncio client makes a call: with its key and a deadline, ending in typed errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator
from typing import TypeVar

import grpc

from colonnade.client.errors import Failure, error_of
from colonnade.client.paging import Page, PageRequest
from colonnade.client.retrying import RetryPolicy, passes, pause
from colonnade.client.statuses import failure_of
from colonnade.client.timing import AsyncTiming

Request = TypeVar("Request")
Response = TypeVar("Response")
AnyPageRequest = TypeVar("AnyPageRequest", bound=PageRequest)
AnyPage = TypeVar("AnyPage", bound=Page)
Item = TypeVar("Item")


class AsyncCalls:
    """What all methods of one client share."""

    def __init__(
        self, metadata: tuple[tuple[str, str], ...], policy: RetryPolicy, timing: AsyncTiming
    ) -> None:
        self.metadata = metadata
        self.policy = policy
        self.timing = timing
        self.parting: set[asyncio.Task[None]] = set()

    async def unary(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[Request, Response],
        request: Request,
        timeout: float,
    ) -> Response:
        """One call. Raises ColonnadeError."""
        try:
            return await method(request, timeout=timeout, metadata=self.metadata)
        except grpc.RpcError as error:
            raise error_of(failure_of(error)) from error

    async def paged(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[AnyPageRequest, AnyPage],
        request: AnyPageRequest,
        items: Callable[[AnyPage], Iterable[Item]],
        timeout: float,
    ) -> AsyncIterator[Item]:
        """All items of all pages; a page is called for when it is reached."""
        while True:
            page = await self.unary(method, request, timeout)
            for item in items(page):
                yield item
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def streamed(
        self,
        method: grpc.aio.UnaryStreamMultiCallable[Request, Response],
        request: Request,
        timeout: float,
    ) -> AsyncGenerator[Response, None]:
        """The messages of one call, which is cancelled when the caller stops reading."""
        call = method(request, timeout=timeout, metadata=self.metadata)
        try:
            async for message in call:
                yield message
        except grpc.RpcError as error:
            raise error_of(failure_of(error)) from error
        finally:
            call.cancel()

    async def collected(
        self,
        method: grpc.aio.StreamUnaryMultiCallable[Request, Response],
        requests: Callable[[], Iterator[Request]],
        timeout: float,
    ) -> Response:
        """One call that sends a stream, made again while its failures pass. `timeout`: for all.

        Only for streams that may be sent again as a whole. `requests` may read files: it runs in
        threads.
        """
        deadline = self.timing.clock() + timeout
        attempt = 1
        while True:
            left = deadline - self.timing.clock()
            try:
                return await method(in_threads(requests()), timeout=left, metadata=self.metadata)
            except grpc.RpcError as error:
                attempt += 1
                await self._wait_for(attempt, failure_of(error), deadline)

    async def finish_parting(self) -> None:
        """Wait for what callers who left have still to send; each is bounded."""
        if self.parting:
            await asyncio.wait(set(self.parting))

    async def _wait_for(self, attempt: int, failure: Failure, deadline: float) -> None:
        wait = pause(attempt, failure.retry_after, self.policy, self.timing.draw())
        late = self.timing.clock() + wait >= deadline
        if late or attempt > self.policy.resume_attempts or not passes(failure):
            raise error_of(failure)
        await self.timing.sleep(wait)


async def in_threads(items: Iterator[Item]) -> AsyncIterator[Item]:
    """The items of an iterator that blocks while it makes them, one thread's work each."""
    while (item := await asyncio.to_thread(next, items, None)) is not None:
        yield item
