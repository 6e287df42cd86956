"""How the blocking client makes a call: with its key and a deadline, ending in typed errors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import grpc

from colonnade.client.errors import Failure, error_of
from colonnade.client.paging import Page, PageRequest
from colonnade.client.retrying import RetryPolicy, passes, pause
from colonnade.client.statuses import failure_of
from colonnade.client.timing import Timing

Request = TypeVar("Request")
Response = TypeVar("Response")
AnyPageRequest = TypeVar("AnyPageRequest", bound=PageRequest)
AnyPage = TypeVar("AnyPage", bound=Page)
Item = TypeVar("Item")


class Calls:
    """What all methods of one client share."""

    def __init__(
        self, metadata: tuple[tuple[str, str], ...], policy: RetryPolicy, timing: Timing
    ) -> None:
        self.metadata = metadata
        self.policy = policy
        self.timing = timing

    def unary(
        self,
        method: grpc.UnaryUnaryMultiCallable[Request, Response],
        request: Request,
        timeout: float,
    ) -> Response:
        """One call. Raises ColonnadeError."""
        try:
            return method(request, timeout=timeout, metadata=self.metadata)
        except grpc.RpcError as error:
            raise error_of(failure_of(error)) from error

    def paged(
        self,
        method: grpc.UnaryUnaryMultiCallable[AnyPageRequest, AnyPage],
        request: AnyPageRequest,
        items: Callable[[AnyPage], Iterable[Item]],
        timeout: float,
    ) -> Iterator[Item]:
        """All items of all pages; a page is called for when it is reached."""
        while True:
            page = self.unary(method, request, timeout)
            yield from items(page)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def streamed(
        self,
        method: grpc.UnaryStreamMultiCallable[Request, Response],
        request: Request,
        timeout: float,
    ) -> Iterator[Response]:
        """The messages of one call, which is cancelled when the caller stops reading."""
        call = method(request, timeout=timeout, metadata=self.metadata)
        try:
            yield from call
        except grpc.RpcError as error:
            raise error_of(failure_of(error)) from error
        finally:
            call.cancel()

    def collected(
        self,
        method: grpc.StreamUnaryMultiCallable[Request, Response],
        requests: Callable[[], Iterator[Request]],
        timeout: float,
    ) -> Response:
        """One call that sends a stream, made again while its failures pass. `timeout`: for all.

        Only for streams that may be sent again as a whole.
        """
        deadline = self.timing.clock() + timeout
        attempt = 1
        while True:
            left = deadline - self.timing.clock()
            try:
                return method(requests(), timeout=left, metadata=self.metadata)
            except grpc.RpcError as error:
                attempt += 1
                self._wait_for(attempt, failure_of(error), deadline)

    def _wait_for(self, attempt: int, failure: Failure, deadline: float) -> None:
        wait = pause(attempt, failure.retry_after, self.policy, self.timing.draw())
        late = self.timing.clock() + wait >= deadline
        if late or attempt > self.policy.resume_attempts or not passes(failure):
            raise error_of(failure)
        self.timing.sleep(wait)
