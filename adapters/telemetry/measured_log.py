"""The log and the metrics of the same calls."""

from __future__ import annotations

from adapters.telemetry.structured_log import StructuredLog
from core.identifiers import CallId
from core.ports.telemetry import CallLine, Measures


class MeasuredLog:
    """Telemetry that is written down and counted."""

    def __init__(self, log: StructuredLog, metrics: Measures) -> None:
        self._log = log
        self._metrics = metrics

    def call_ended(self, line: CallLine) -> None:
        """One line, and one more of its kind."""
        self._log.call_ended(line)
        self._metrics.call_ended(line)

    def failed(self, call_id: CallId, error: BaseException) -> None:
        """A bug, with its stack, and one more of them."""
        self._log.failed(call_id, error)
        self._metrics.bug()
