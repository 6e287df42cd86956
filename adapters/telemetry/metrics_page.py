"""`/metrics` over HTTP, on threads of its own, so that no scrape holds up the event loop."""

from __future__ import annotations

import socket
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

PATH = "/metrics"
_CLIENT_S = 5.0
"""How long a client may take over its request, and over reading the answer."""


class MetricsPage:
    """Serves the registry until closed. Nobody is asked for a key: listen on loopback only."""

    def __init__(self, registry: CollectorRegistry, host: str, port: int) -> None:
        """Listen. Raises OSError where the address is taken or is not ours."""
        handler = type("Handler", (_Handler,), {"registry": registry})
        kind = _Server6 if ":" in host else ThreadingHTTPServer
        try:
            self._server = kind((host, port), handler)
        except OSError as error:
            raise OSError(
                f"can't serve metrics at {host}:{port} ({error.strerror}); "
                "choose another metrics.address, or end the process that listens there"
            ) from error
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="metrics", kwargs={"poll_interval": 0.1}
        )
        self._thread.daemon = True
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.server_port

    def close(self) -> None:
        """Stop listening. Takes up to 0.1 s; idempotent."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server6(ThreadingHTTPServer):
    address_family = socket.AF_INET6


class _Handler(BaseHTTPRequestHandler):
    registry: CollectorRegistry
    timeout = _CLIENT_S
    server_version = "colonnade"
    sys_version = ""

    def do_GET(self) -> None:
        """The page, in the format that the client prefers."""
        if self.path.partition("?")[0] != PATH:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        encode, content_type = choose_encoder(self.headers.get("Accept", ""))
        body = encode(self.registry)
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: a scrape every few seconds is no news."""
