"""Many slow streams at once: memory a stream, the time of a commit, and no growth.

    python -m benchmarks.streams [--json] [--streams 2000] [--minutes 1]

Clients in another process read streams that bring a chunk a second, each for 64 s and then the
next. The server is ours with everything on. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import mean

from benchmarks.relaying.processes import Child, child
from benchmarks.relaying.source import AT_ONCE, KEY, SLOW

RAMP_S = 10.0
SAMPLE_S = 2.0


def measure(options: argparse.Namespace) -> dict[str, float]:
    """Run the streams for so long, and look at the server's process meanwhile."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=options.folder)))
        log = stack.enter_context((folder / "log").open("w"))
        load = stack.enter_context(child("benchmarks.relaying.clients"))
        ours = child("benchmarks.relaying.ours", str(folder / "data"), errors=log)
        server = stack.enter_context(ours)
        order = {"address": server.answer()["address"], "key": KEY, "stamped": False}
        load.ask(question=AT_ONCE, clients=32, seconds=0.5, **order)
        server.ask()
        idle_kb = server.resident_kb()
        seconds = max(0.0, options.minutes * 60 - RAMP_S)
        clients = options.streams
        load.send(question=SLOW, clients=clients, seconds=seconds, ramp_s=RAMP_S, **order)
        time.sleep(RAMP_S + SAMPLE_S)
        server.ask()  # the commits of the ramp are left out
        cpu_before, samples = server.cpu_s(), _samples(server, seconds)
        cpu_share = (server.cpu_s() - cpu_before) / max(seconds, SAMPLE_S)
        commits = sorted(server.ask()["commits_ms"])
        load.kill()  # in the middle of its streams
        return _figures(samples, idle_kb, commits, clients) | {"cpu_share": round(cpu_share, 3)}


def _samples(server: Child, seconds: float) -> list[int]:
    """The server's memory in KiB, every few seconds."""
    until = time.monotonic() + max(seconds, SAMPLE_S)
    samples = [server.resident_kb()]
    while time.monotonic() < until:
        time.sleep(SAMPLE_S)
        samples.append(server.resident_kb())
    return samples


def _figures(
    samples: list[int], idle_kb: int, commits: list[float], streams: int
) -> dict[str, float]:
    """Growth is that of the last third over the first, in percent: caches fill at first."""
    third = max(1, len(samples) // 3)
    growth = mean(samples[-third:]) / mean(samples[:third]) - 1
    return {
        "streams": streams,
        "idle_mb": round(idle_kb / 1024, 1),
        "kb_a_stream": round((mean(samples) - idle_kb) / streams, 1),
        "growth_percent": round(100 * growth, 2),
        "commits": len(commits),
        "commit_ms_p50": round(commits[len(commits) // 2], 3) if commits else 0.0,
        "commit_ms_p99": round(commits[len(commits) * 99 // 100], 3) if commits else 0.0,
    }


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="only the last line")
    parser.add_argument("--streams", type=int, default=2000)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--folder", help="where the state lies; default: the temporary folder")
    options = parser.parse_args()
    found = measure(options)
    if not options.json:
        for name, value in found.items():
            print(f"{name:20} {value:>10}")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
