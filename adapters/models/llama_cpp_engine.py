"""llama.cpp in the process, with one model loaded. Everything here blocks: call it in threads."""

from __future__ import annotations

import http.client
import json
import secrets
import shutil
import socket
import tempfile
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from adapters.models.gguf import TOKENS_KEY, TYPES_KEY, NotGguf, control_tokens, read_header
from adapters.models.llama_cpp_prompt import ControlTokens
from adapters.models.provider_errors import read_error
from core.generation import ModelError, ModelErrorKind

ANSWER_SECONDS = 30.0
"""How long a question about tokens, or whether the model rests, may take."""

_LONGEST_SOCKET_PATH = 100  # the kernel takes 107 bytes


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What is loaded, and how: `window` tokens for each of `slots` answers at a time.

    `batch` is how many tokens of prompts are read at once. A stop is obeyed between two batches,
    so it bounds how long one waits; larger ones read faster.
    """

    weights: Path
    window: int
    slots: int
    threads: int
    batch: int
    continues_prefix: bool
    name: str


class _Server(Protocol):
    """The part of xllamacpp.Server that is used; the library has no types."""

    def handle_chat_completions(
        self, prompt: bytes, callback: Callable[[bytes], bool]
    ) -> object: ...

    def handle_metrics(self) -> str: ...


class Engine:
    """A loaded model. Methods may overlap; `close` must come after all others have returned.

    The library opens an HTTP server with each model, on a port that any local user could reach.
    Here it listens on a socket in a folder that only this user can enter, and wants a key.
    """

    def __init__(self, server: _Server, folder: Path, key: str, control: ControlTokens) -> None:
        self._server: _Server | None = server
        self._folder = folder
        self._key = key
        self._clear = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self.control = control

    @classmethod
    def open(cls, settings: EngineSettings) -> Engine:
        """Loads the model. Raises ModelError (WEIGHTS_MISSING) where the file is no such model."""
        try:
            control = ControlTokens(
                control_tokens(read_header(settings.weights, {TOKENS_KEY, TYPES_KEY}))
            )
        except NotGguf as error:
            raise ModelError(ModelErrorKind.WEIGHTS_MISSING, str(error)) from None
        folder = _private_folder()
        key = secrets.token_urlsafe(32)
        try:
            server = _load(settings, folder, key)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return cls(server, folder, key, control)

    def generate(self, body: dict[str, object], on_chunk: Callable[[bytes], bool]) -> None:
        """Runs one chat completion; each chunk goes to `on_chunk`, which may return True to stop.

        It is called when a batch of the prompt has been read, too. Raises ModelError
        (BAD_REQUEST) for what llama.cpp refuses before it starts; other errors are chunks.
        """
        try:
            self._loaded().handle_chat_completions(json.dumps(body).encode(), on_chunk)
        except ValueError as error:
            said = " ".join(str(error).split())[:200]
            raise ModelError(
                ModelErrorKind.BAD_REQUEST, f"the local model refused the request: {said}"
            ) from None

    def settle(self) -> None:
        """Returns once nothing that was stopped before is worked on any more.

        Asks for something that llama.cpp looks up between two batches only, and after the stops
        that were there before the question. Raises ModelError (CONNECTION).
        """
        self._ask("GET", "/lora-adapters")

    def running(self) -> int:
        """How many answers the model is working on now."""
        for line in self._loaded().handle_metrics().splitlines():
            name, _, value = line.rpartition(" ")
            if name == "llamacpp:requests_processing":
                return int(float(value))
        raise RuntimeError("llama.cpp does not report how many requests it processes")

    def count(self, messages: list[dict[str, object]]) -> int:
        """The tokens of these messages in the model's template. Raises ModelError."""
        status, said = self._ask(
            "POST", "/v1/chat/completions/input_tokens", {"messages": messages}
        )
        counted = said.get("input_tokens") if isinstance(said, dict) else None
        if not isinstance(counted, int):
            raise read_error(status, said)
        return counted

    def close(self) -> None:
        """Frees the model. Holds the interpreter's lock while llama.cpp ends: tens of ms."""
        self._server = None
        self._clear()

    def _ask(self, method: str, path: str, body: object = None) -> tuple[int, object]:
        """What the server answers: a status, and JSON. Raises ModelError (CONNECTION)."""
        connection = _SocketConnection(self._folder / "llama.sock")
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, json.dumps(body), headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise ModelError(
                ModelErrorKind.CONNECTION,
                f"the local model does not answer ({type(error).__name__})",
            ) from None
        finally:
            connection.close()

    def _loaded(self) -> _Server:
        if self._server is None:
            raise ModelError(ModelErrorKind.CONNECTION, "the local model is closed")
        return self._server


class _SocketConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("llama", timeout=ANSWER_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _private_folder() -> Path:
    """A folder that only this user can enter, with a path that is short enough for a socket."""
    folder = Path(tempfile.mkdtemp(prefix="colonnade-llama-"))
    if len(bytes(folder)) > _LONGEST_SOCKET_PATH - len("/llama.sock"):
        folder.rmdir()
        folder = Path(tempfile.mkdtemp(prefix="colonnade-llama-", dir="/tmp"))
    return folder


def _load(settings: EngineSettings, folder: Path, key: str) -> _Server:
    """Loads the model into a server of the library."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(settings.weights)
    params.model_alias = {settings.name}
    params.n_parallel = settings.slots
    params.n_ctx = settings.window * settings.slots
    params.n_batch = params.n_ubatch = settings.batch
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = settings.threads
    params.prefill_assistant = settings.continues_prefix
    # Without it, small batches are read faster, and long prompts answered faster, on a CPU.
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.fit_params = False
    params.cache_ram_mib = 0  # the default keeps up to 8 GB of prompts that were read
    params.warmup = False
    params.hostnames = [str(folder / "llama.sock")]
    params.api_keys = [key]
    params.n_threads_http = settings.slots + 2
    params.endpoint_slots = False  # it would tell the prompts
    params.endpoint_metrics = True
    params.ui = False
    params.offline = True
    params.verbosity = -1
    try:
        server: _Server = xllamacpp.Server(params)
    except RuntimeError:
        raise ModelError(
            ModelErrorKind.WEIGHTS_MISSING,
            f"llama.cpp cannot load {settings.weights.name}: the file is damaged, of a kind that "
            "it does not know, or too large for the memory",
        ) from None
    # Its loop may not have begun yet, and one that is ended before it begins never ends: the
    # first answer shows that it has.
    server.handle_metrics()
    return server
