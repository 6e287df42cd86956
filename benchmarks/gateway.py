"""The price of the model gateway: ours beside bare `grpc.aio` relays over the same HTTP client.

    python -m benchmarks.gateway [--json] [--rounds 3] [--seconds 0.6] [--clients 64]
        [--mock PROGRAM] [--litellm PROGRAM] [--portkey START_SERVER_JS]

A provider that costs next to nothing streams 64 chunks. In front of it: our server with
everything on; a relay that sends a chunk a message; the same with the chunks of one read in a
message; LiteLLM's proxy and Portkey where they are given. Windows of load alternate between them:
answers in one piece, streams at full speed, streams of a chunk every 10 ms. CPU is that of the
gateway's processes alone, in seconds for 1,000 answers; a figure is the median over its windows,
a ratio the median over the rounds. What a gateway adds to the first token is measured with four
clients and held against the same at the provider itself. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Protocol

from benchmarks.gatewaying import foreign
from benchmarks.gatewaying.bare import JOINED
from benchmarks.gatewaying.ours import KEY
from benchmarks.gatewaying.upstream import AT_ONCE, PACED
from benchmarks.relaying.processes import child

MODES = {"unary": (AT_ONCE, False), "stream": (AT_ONCE, True), "paced": (PACED, True)}
"""The model that is asked, and whether it streams."""
QUIET = {"quiet_unary": (AT_ONCE, False), "quiet": (PACED, True)}
"""The same from a few clients, for the time that is added where nobody waits for the processor."""
FEW = 4
RATIOS = {"unary": "bare", "stream": "bare_joined", "paced": "bare"}
"""Which relay a mode is held against first."""
UNDER_MEASURE, DIRECT = "ours", "direct"


class Process(Protocol):
    """What is under measure."""

    def cpu_s(self) -> float:
        """CPU seconds so far."""


@dataclass(frozen=True)
class Server:
    """One that answers: its process, and what a client has to say to it."""

    process: Process | None
    address: str
    kind: str = "http"
    prefix: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def cpu_s(self) -> float:
        """CPU seconds so far; none for the provider itself."""
        return self.process.cpu_s() if self.process else 0.0


@dataclass
class Windows:
    """What was seen of one server in one mode."""

    cpu_s: list[float] = field(default_factory=list)
    first_ms: list[float] = field(default_factory=list)
    messages: int = 0
    answers: int = 0

    def add(self, seen: Mapping[str, Any], cpu_s: float) -> None:
        """One more window."""
        self.cpu_s.append(cpu_s / seen["answers"] * 1000)
        self.first_ms.append(median(seen["first_ms"]))
        self.messages += seen["messages"]
        self.answers += seen["answers"]


class Bench:
    """The servers and the load."""

    def __init__(self, options: argparse.Namespace, stack: ExitStack) -> None:
        self._options = options
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=options.folder)))
        self._load = stack.enter_context(child("benchmarks.gatewaying.clients"))
        self.servers = dict(_servers(options, stack, folder))
        self.windows = {
            (mode, name): Windows() for mode in (*MODES, *QUIET) for name in self.servers
        }

    def run(self) -> None:
        """Warm every server up, then the windows of each round in turn."""
        for mode in MODES:
            for name in self.servers:
                self._window(name, mode, min(0.3, self._options.seconds))
        for _ in range(self._options.rounds):
            for mode in (*MODES, *QUIET):
                for name, server in self.servers.items():
                    if name == DIRECT and mode in MODES:
                        continue
                    seconds = self._options.seconds * (0.3 if mode in QUIET else 1)
                    before = server.cpu_s()
                    seen = self._window(name, mode, seconds)
                    self.windows[mode, name].add(seen, server.cpu_s() - before)

    def _window(self, name: str, mode: str, seconds: float) -> dict[str, Any]:
        server, (model, stream) = self.servers[name], (MODES | QUIET)[mode]
        return self._load.ask(
            kind=server.kind,
            address=server.address,
            headers=dict(server.headers),
            model=server.prefix + model,
            stream=stream,
            clients={KEY: FEW if mode in QUIET else self._options.clients},
            seconds=seconds,
        )

    def added_ms(self, mode: str, name: str) -> float:
        """How much later the first message comes than from the provider itself."""
        through, direct = (median(self.windows[mode, n].first_ms) for n in (name, DIRECT))
        return through - direct

    def ratio(self, mode: str, against: str) -> float:
        """The median over the rounds of ours to theirs, each window beside its neighbour."""
        ours, theirs = (self.windows[mode, name].cpu_s for name in (UNDER_MEASURE, against))
        return median(one / other for one, other in zip(ours, theirs, strict=True))


def _servers(
    options: argparse.Namespace, stack: ExitStack, folder: Path
) -> Iterator[tuple[str, Server]]:
    """The provider, and all that stand in front of it."""
    if options.mock:
        upstream = stack.enter_context(foreign.mock(options.mock)).address
    else:
        provider = stack.enter_context(child("benchmarks.gatewaying.upstream"))
        upstream = provider.answer()["address"]
    yield DIRECT, Server(None, upstream)
    log = stack.enter_context((folder / "log").open("w"))
    module, data = "benchmarks.gatewaying", str(folder / "data")
    ours = stack.enter_context(child(f"{module}.ours", data, upstream, errors=log))
    yield UNDER_MEASURE, Server(ours, ours.answer()["address"], "grpc")
    bare = stack.enter_context(child(f"{module}.bare", upstream))
    address = bare.answer()["address"]
    yield "bare", Server(bare, address, "grpc")
    yield "bare_joined", Server(bare, address, "grpc", JOINED)
    others: list[tuple[str, foreign.Foreign]] = []
    if options.litellm:
        opened = foreign.litellm(options.litellm, upstream, folder)
        others.append(("litellm", stack.enter_context(opened)))
    if options.portkey:
        opened = foreign.portkey(options.portkey, upstream)
        others.append(("portkey", stack.enter_context(opened)))
    for name, other in others:
        yield name, Server(other, other.address, headers=other.headers)


def figures(bench: Bench) -> Iterator[tuple[str, float]]:
    """What the windows come to, under the names of the last line."""
    for name in bench.servers:
        if name == DIRECT:
            continue
        prefix = "" if name == UNDER_MEASURE else f"{name}_"
        for mode in MODES:
            windows = bench.windows[mode, name]
            cpu_s = median(windows.cpu_s)
            yield f"{prefix}{mode}_cpu_s_per_1000", round(cpu_s, 3)
            yield f"{prefix}{mode}_per_cpu_s", round(1000 / cpu_s, 1)
            if mode != "unary":
                share = windows.messages / windows.answers
                yield f"{prefix}{mode}_messages", round(share, 2)
        yield f"{prefix}ttft_added_ms_p50", round(bench.added_ms("quiet", name), 3)
        yield f"{prefix}unary_added_ms_p50", round(bench.added_ms("quiet_unary", name), 3)
    for mode, against in RATIOS.items():
        yield f"{mode}_ratio", round(bench.ratio(mode, against), 3)
        yield f"{mode}_ratio_joined", round(bench.ratio(mode, "bare_joined"), 3)


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="only the last line")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.6, help="of one window")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--folder", help="where the state lies; default: the temporary folder")
    for name, what in (
        ("mock", "the provider"),
        ("litellm", "its proxy"),
        ("portkey", "its start"),
    ):
        default = os.environ.get(f"COLONNADE_BENCH_{name.upper()}", "")
        parser.add_argument(f"--{name}", default=default, help=f"{what}, as a program of its own")
    options = parser.parse_args()
    with ExitStack() as stack:
        bench = Bench(options, stack)
        bench.run()
    found = dict(figures(bench))
    if not options.json:
        for name, value in found.items():
            print(f"{name:40} {value:>10}")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
