"""The price of a streamed turn: our server beside bare `grpc.aio` that streams the same text.

    python -m benchmarks.relay [--json] [--rounds 3] [--seconds 1.3] [--clients 32]

Three servers, each a process: ours with everything on, `grpc.aio` with a chunk a message, and
`grpc.aio` with the chunks of one tick in a message. Windows of load alternate between them, at
full speed and with chunks 10 ms apart, from clients in another process. CPU is that of the
server's process alone; a figure is the median over its windows. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.relaying.processes import Child, child
from benchmarks.relaying.source import AT_ONCE, KEY, PACED

SERVERS = ("ours", "bare", "bare_joined")
MODES = {AT_ONCE: "", PACED: "_paced"}
"""What the clients ask for, and the suffix of its figures."""


@dataclass
class Windows:
    """What was seen of one server in one mode."""

    streams_per_cpu_s: list[float] = field(default_factory=list)
    messages: int = 0
    streams: int = 0
    first_ms: list[float] = field(default_factory=list)
    ages_ms: list[float] = field(default_factory=list)

    def add(self, seen: Mapping[str, Any], cpu_s: float) -> None:
        """One more window."""
        if seen["failed"]:
            raise RuntimeError(f"{seen['failed']} streams failed: the figures mean nothing")
        self.streams_per_cpu_s.append(seen["streams"] / cpu_s)
        self.messages += seen["messages"]
        self.streams += seen["streams"]
        self.first_ms += seen["first_ms"]
        self.ages_ms += seen["ages_ms"]


class Bench:
    """The three servers and the load."""

    def __init__(self, options: argparse.Namespace, stack: ExitStack) -> None:
        self._options = options
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=options.folder)))
        log = stack.enter_context((folder / "log").open("w"))
        module = "benchmarks.relaying"
        self._load = stack.enter_context(child(f"{module}.clients"))
        self._servers = {
            "ours": stack.enter_context(child(f"{module}.ours", str(folder / "data"), errors=log)),
            "bare": stack.enter_context(child(f"{module}.bare", "bare")),
            "bare_joined": stack.enter_context(child(f"{module}.bare", "joined")),
        }
        self._addresses = {name: s.answer()["address"] for name, s in self._servers.items()}
        self.windows = {(mode, name): Windows() for mode in MODES for name in SERVERS}
        self.commits_ms: list[float] = []

    def run(self) -> None:
        """Warm every server up, then the windows of each round in turn."""
        for name in SERVERS:
            self._window(name, AT_ONCE, 0.3)
        self._ours.ask()
        for _ in range(self._options.rounds):
            for mode in MODES:
                for name in SERVERS:
                    server = self._servers[name]
                    before = server.cpu_s()
                    seen = self._window(name, mode, self._options.seconds)
                    self.windows[mode, name].add(seen, server.cpu_s() - before)
        self.commits_ms = self._ours.ask()["commits_ms"]

    @property
    def _ours(self) -> Child:
        return self._servers["ours"]

    def _window(self, name: str, mode: str, seconds: float) -> dict[str, Any]:
        return self._load.ask(
            address=self._addresses[name],
            key=KEY,
            question=mode,
            stamped=mode == PACED,
            clients=self._options.clients,
            seconds=seconds,
        )


def figures(bench: Bench) -> Iterator[tuple[str, float]]:
    """What the windows come to, under the names of the last line."""
    for mode, suffix in MODES.items():
        speed = {n: median(bench.windows[mode, n].streams_per_cpu_s) for n in SERVERS}
        for name in SERVERS:
            yield f"{name}_streams_per_cpu_s{suffix}", round(speed[name], 1)
        for name, against in (("ratio", "bare"), ("ratio_joined", "bare_joined")):
            yield f"{name}{suffix}", round(_ratio(bench, mode, against), 3)
        for name in SERVERS:
            windows = bench.windows[mode, name]
            prefix = "" if name == "ours" else f"{name}_"
            share = windows.messages / windows.streams
            yield f"{prefix}messages_per_stream{suffix}", round(share, 2)
            first = f"{prefix}first_event_ms_p50"
            # at full speed a client waits for its turn, so the plain name is that of the paced
            yield first if suffix else f"{first}_at_full_speed", round(median(windows.first_ms), 3)
    ours, bare = (bench.windows[PACED, name].ages_ms for name in ("ours", "bare"))
    for percent in (50, 99):
        added = _percentile(ours, percent) - _percentile(bare, percent)
        yield f"added_chunk_ms_p{percent}", round(added, 3)
        yield f"commit_ms_p{percent}", round(_percentile(bench.commits_ms, percent), 3)


def _ratio(bench: Bench, mode: str, against: str) -> float:
    """The median over the rounds of ours to theirs, each window beside its neighbour."""
    ours = bench.windows[mode, "ours"].streams_per_cpu_s
    theirs = bench.windows[mode, against].streams_per_cpu_s
    return median(one / other for one, other in zip(ours, theirs, strict=True))


def _percentile(values: Sequence[float], percent: int) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="only the last line")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.3, help="of one window")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--folder", help="where the state lies; default: the temporary folder")
    options = parser.parse_args()
    with ExitStack() as stack:
        bench = Bench(options, stack)
        bench.run()
    found = dict(figures(bench))
    if not options.json:
        for name, value in found.items():
            print(f"{name:45} {value:>10}")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
