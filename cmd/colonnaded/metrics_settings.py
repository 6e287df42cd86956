"""Whether and where metrics are shown: the table `metrics`."""

from __future__ import annotations

import re
from typing import Self

from pydantic import model_validator

from colonnaded.setting_table import Table

_LOOPBACK = re.compile(r"(127\.\d+\.\d+\.\d+|localhost|\[::1\]):\d{1,5}")


class MetricsSettings(Table):
    """Where `/metrics` is served over HTTP, without a key; empty: nowhere."""

    address: str = ""

    @model_validator(mode="after")
    def _on_loopback(self) -> Self:
        if self.address and not _LOOPBACK.fullmatch(self.address):
            raise ValueError(
                "address must be a port of this machine alone, such as 127.0.0.1:9464: "
                "nobody who asks for metrics is asked for a key"
            )
        return self
