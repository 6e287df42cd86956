"""The programs that measure run, and end with one line of JSON that has what they promise."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SERVERS = ("ours", "bare", "bare_joined")
RELAY = {
    *(f"{name}_streams_per_cpu_s{mode}" for name in SERVERS for mode in ("", "_paced")),
    *(f"ratio{of}{mode}" for of in ("", "_joined") for mode in ("", "_paced")),
    *(
        f"{name}messages_per_stream{mode}"
        for name in ("", "bare_", "bare_joined_")
        for mode in ("", "_paced")
    ),
    "first_event_ms_p50",
    "bare_first_event_ms_p50",
    "added_chunk_ms_p50",
    "added_chunk_ms_p99",
    "commit_ms_p99",
}
GATEWAY = {
    *(
        f"{name}{mode}_cpu_s_per_1000"
        for name in ("", "bare_", "bare_joined_")
        for mode in ("unary", "stream", "paced")
    ),
    *(f"{mode}_ratio" for mode in ("unary", "stream", "paced")),
    "ttft_added_ms_p50",
}


def figures(module: str, *options: str) -> dict[str, float]:
    """What the last line says."""
    run = subprocess.run(
        [sys.executable, "-m", module, "--json", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    found: dict[str, float] = json.loads(run.stdout.splitlines()[-1])
    return found


@pytest.mark.mesh
@pytest.mark.slow
def test_the_relay_says_all_that_it_is_asked_for() -> None:
    found = figures("benchmarks.relay", "--rounds", "1", "--seconds", "0.05", "--clients", "2")
    assert found.keys() >= RELAY
    assert all(found[key] > 0 for key in RELAY if not key.startswith("added"))
    assert found["bare_messages_per_stream"] == 64


@pytest.mark.mesh
@pytest.mark.slow
def test_the_streams_tell_memory_and_growth() -> None:
    found = figures("benchmarks.streams", "--streams", "20", "--minutes", "0")
    assert found.keys() >= {"kb_a_stream", "growth_percent", "commit_ms_p99"}


@pytest.mark.mesh
@pytest.mark.slow
def test_the_gateway_says_all_that_it_is_asked_for() -> None:
    found = figures("benchmarks.gateway", "--rounds", "1", "--seconds", "0.05", "--clients", "2")
    assert found.keys() >= GATEWAY
    assert all(found[key] > 0 for key in GATEWAY if key != "ttft_added_ms_p50")
    assert found["bare_stream_messages"] == 64


@pytest.mark.mesh
@pytest.mark.slow
def test_the_gateways_streams_tell_memory_and_shares() -> None:
    found = figures("benchmarks.gateway_streams", "--streams", "8", "--seconds", "1")
    assert found.keys() >= {"streams", "kb_a_stream", "jain_index", "jain_index_saturated"}
    assert found["jain_index"] > 0.5
