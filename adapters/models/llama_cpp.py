"""A local model in GGUF, run by llama.cpp in the process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from pathlib import Path
from typing import ParamSpec, TypeVar

from adapters.models.chunk_buffer import ChunkBuffer
from adapters.models.cores import usable_cores
from adapters.models.llama_cpp_engine import Engine, EngineSettings
from adapters.models.llama_cpp_prompt import llama_body, llama_messages
from adapters.models.openai_chunks import ChunkReader
from adapters.models.openai_dialects import LLAMA_CPP_LIBRARY
from adapters.models.refusals import refuse_unsupported
from adapters.models.time_limits import Patience
from adapters.models.weights import find_weights
from adapters.models.wire import joined
from core.catalog import Capability, Deployment
from core.generation import GenerationRequest, ModelError, ModelErrorKind, ModelEvent
from core.identifiers import Seconds
from core.messages import Message
from core.ports.token_bounds import TokenBounds, TokenCounting

POSSIBLE = frozenset({Capability.JSON_SCHEMA, Capability.SEED, Capability.STOP})
BUFFERED = 64
"""Pieces that wait for a slow reader; llama.cpp holds the rest, of one answer at most."""

_WORK_A_THREAD = 1.6e9  # bytes of weights times tokens: 0.1 to 0.25 s on a core of 2024

P = ParamSpec("P")
T = TypeVar("T")


class LoadState(Enum):
    """How far the model is. It is loaded when it is first used, and stays so."""

    NOT_LOADED = "not loaded"
    LOADING = "loading"
    LOADED = "loaded"
    CLOSED = "closed"


class LlamaCpp:
    """One model, `slots` answers at a time; further calls wait for a slot within their time-out.

    `weights` is a GGUF file, None the packaged one. `threads` for the computation: by default all
    cores but one, since llama.cpp's threads wait for each other busily, and two on two cores
    that something else also uses are many times slower than one. `batch` is how many tokens of
    prompts are read at once; a stop is obeyed between two batches. By default as many as a thread
    reads in a fraction of a second on a CPU. Give more where a GPU does the work.
    `reuse_prompts` lets a slot go on from the prompt that it read last, as far as the next one
    starts with the same; an answer's count of cached tokens then tells that somebody asked so.
    """

    def __init__(
        self,
        deployment: Deployment,
        weights: Path | None = None,
        *,
        slots: int = 2,
        threads: int | None = None,
        batch: int | None = None,
        reuse_prompts: bool = True,
    ) -> None:
        self._deployment = deployment
        self._weights = weights
        self._slot_count = slots
        self._threads = threads or max(1, usable_cores() - 1)
        self._batch = batch
        self._reuse_prompts = reuse_prompts
        self._slots = asyncio.Semaphore(slots)
        self._pool = ThreadPoolExecutor(slots + 2, f"llama-{deployment.name}")
        self._at_work = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._buffers: set[ChunkBuffer] = set()
        self._loading: asyncio.Future[Engine] | None = None
        self._closing: asyncio.Task[None] | None = None

    @property
    def deployment(self) -> Deployment:
        """See LanguageModel."""
        return self._deployment

    @property
    def state(self) -> LoadState:
        """How far the model is, now."""
        if self._closing is not None:
            return LoadState.CLOSED
        if self._loading is None:
            return LoadState.NOT_LOADED
        return LoadState.LOADED if self._loading.done() else LoadState.LOADING

    async def stream(
        self, request: GenerationRequest, *, timeout: Seconds
    ) -> AsyncGenerator[ModelEvent, None]:
        """See LanguageModel. The first call loads the model, within its time-out."""
        refuse_unsupported(request, self._deployment, POSSIBLE)
        patience = Patience(timeout)
        engine = await patience.wait(self._engine())
        body = llama_body(
            request, self._deployment, engine.control, reuse_prompts=self._reuse_prompts
        )
        await patience.wait(self._slots.acquire())
        buffer, work = self._start(engine, body)
        reader = ChunkReader(LLAMA_CPP_LIBRARY)
        try:
            while (chunk := await patience.wait(buffer.get())) is not None:
                for event in joined(reader.read(chunk)):
                    yield event
            yield reader.finish()
        finally:
            buffer.stop()
            await asyncio.shield(work)

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        """See LanguageModel. Exact, by the model itself: loads it. Raises ModelError."""
        engine = await self._engine()
        return await self._in_thread(engine.count, llama_messages(messages, engine.control))

    async def count_bounds(self, messages: Sequence[Message]) -> TokenBounds:
        """See BoundingModel."""
        tokens = await self.count_tokens(messages)
        return TokenBounds(tokens, tokens, TokenCounting.EXACT)

    async def running(self) -> int:
        """How many answers the model itself is working on, as it says; 0 where none is loaded.

        Takes as long as a batch does.
        """
        if self.state is not LoadState.LOADED:
            return 0
        return await self._in_thread((await self._engine()).running)

    async def close(self) -> None:
        """See LanguageModel."""
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._shut_down())
        await asyncio.shield(self._closing)

    async def _engine(self) -> Engine:
        """The loaded model. One loads it, all wait; what failed is tried again by the next."""
        self._refuse_when_closed()
        if self._loading is None:
            self._loading = self._in_thread(self._open)
            self._loading.add_done_callback(self._note_failure)
        engine = await asyncio.shield(self._loading)
        self._refuse_when_closed()
        return engine

    def _refuse_when_closed(self) -> None:
        if self._closing is not None:
            raise self._closed()

    def _open(self) -> Engine:
        weights = find_weights(self._weights)
        size = weights.stat().st_size
        return Engine.open(
            EngineSettings(
                weights=weights,
                window=self._deployment.context_window,
                slots=self._slot_count,
                threads=self._threads,
                batch=self._batch or default_batch(size, self._threads),
                continues_prefix=self._deployment.takes_prefix,
                name=self._deployment.model,
            )
        )

    def _note_failure(self, loading: asyncio.Future[Engine]) -> None:
        if loading.cancelled() or loading.exception() is not None:
            self._loading = None

    def _start(
        self, engine: Engine, body: dict[str, object]
    ) -> tuple[ChunkBuffer, asyncio.Future[None]]:
        """Starts an answer in the slot that was acquired. The slot is free when its work ends."""
        if self._closing is not None:
            self._slots.release()
            raise self._closed()
        buffer = ChunkBuffer(BUFFERED)
        self._buffers.add(buffer)
        work = self._in_thread(_generate, engine, body, buffer)

        def leave(_: object) -> None:
            self._buffers.discard(buffer)
            self._slots.release()

        work.add_done_callback(leave)
        return buffer, work

    def _in_thread(
        self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> asyncio.Future[T]:
        """Runs it in the model's own threads; `close` waits for it."""
        work = asyncio.get_running_loop().run_in_executor(
            self._pool, lambda: function(*args, **kwargs)
        )
        self._at_work += 1
        self._idle.clear()
        work.add_done_callback(self._note_end)
        return work

    def _note_end(self, _: object) -> None:
        self._at_work -= 1
        if not self._at_work:
            self._idle.set()

    async def _shut_down(self) -> None:
        """llama.cpp ends the process if it is freed while it answers: first, all must return."""
        for buffer in self._buffers:
            buffer.stop(self._closed())
        await self._idle.wait()
        if self._loading is not None:
            await self._in_thread(self._loading.result().close)
        self._pool.shutdown(wait=False)

    def _closed(self) -> ModelError:
        return ModelError(
            ModelErrorKind.CONNECTION, f"the deployment {self._deployment.name} was closed"
        )


def default_batch(weights_bytes: int, threads: int) -> int:
    """Tokens of prompts that are read at once, so that a stop need not wait for longer than it may.

    Reading costs about the size of the weights for each token on a CPU, whatever the batch: with
    16 tokens at once, a prompt takes as long as with 128, and a stop an eighth of the time.
    """
    tokens = _WORK_A_THREAD * threads / max(1, weights_bytes)
    return max(8, min(512, round(tokens / 8) * 8))


def _generate(engine: Engine, body: dict[str, object], buffer: ChunkBuffer) -> None:
    """One answer, in a thread of its own. Returns when the model works on it no more."""
    try:
        engine.generate(body, buffer.put)
        if buffer.is_stopped:
            engine.settle()
    except ModelError as error:
        buffer.end(error)
    finally:
        buffer.end()
