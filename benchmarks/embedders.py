"""Speed, memory and quality of the embedders, each in a process of its own.

    COLONNADE_DATA=… python -m benchmarks.embedders [--threads N] [--agreement] [EMBEDDER …]

Texts are the first of Cranfield, cut to some 110 tokens. Processor time is given beside elapsed
time, since only the former means something on a machine that others use.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from adapters.embedders.e5_nano import e5_nano
from adapters.embedders.minilm_onnx import minilm_onnx
from adapters.embedders.sentence_transformers import (
    SentenceTransformerModel,
    sentence_transformer,
)
from benchmarks.retrieval.sets import RetrievalSet, figures, find_set, load_set, mean, ndcg_at_10
from core.ports.embedder import Embedder, TextKind

DOCUMENTS = 128
WORDS_A_DOCUMENT = 90
QUERIES = 100

EMBEDDERS: dict[str, Callable[[int], Embedder]] = {
    "minilm-onnx": lambda threads: minilm_onnx(threads=threads),
    "e5-nano": lambda threads: e5_nano(threads=threads),
    "sentence-transformers": lambda threads: sentence_transformer(
        SentenceTransformerModel(threads=threads)
    ),
}


def main() -> None:
    """Measure each embedder in a fresh process, or one in this process."""
    asked = _arguments()
    if asked.here:
        print(json.dumps(asyncio.run(measure(asked.embedders[0], asked.threads, asked.agreement))))
        return
    for name in asked.embedders or list(EMBEDDERS):
        command = [sys.executable, "-m", "benchmarks.embedders", "--here", name]
        command += ["--threads", str(asked.threads)] + ["--agreement"] * asked.agreement
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            said = done.stderr.strip().splitlines()[-1:]
            print(f"{name}: ended with {done.returncode}", *said)
            continue
        result = json.loads(done.stdout)
        print(f"{name}, {asked.threads} threads: ", end="")
        print(", ".join(f"{what} {value:.4g}" for what, value in result.items()), flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("embedders", nargs="*", choices=[[], *EMBEDDERS])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--agreement", action="store_true", help="nDCG@10 on Cranfield as well")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


async def measure(name: str, threads: int, agreement: bool) -> dict[str, float]:
    """All figures of one embedder."""
    data = load_set(find_set("cranfield"))
    documents = [" ".join(text.split()[:WORDS_A_DOCUMENT]) for text in data.texts[:DOCUMENTS]]
    before = _memory_megabytes()
    embedder = EMBEDDERS[name](threads)
    started = time.perf_counter()
    await embedder.embed(data.questions[:1], TextKind.QUERY)
    found = {"first query s": time.perf_counter() - started}
    found |= await _throughput(embedder, documents)
    found |= await _latency(embedder, data.questions[:QUERIES], "query")
    found |= await _latency_during_ingest(embedder, documents, data.questions[:QUERIES])
    found["MB more than before"] = _memory_megabytes() - before
    if agreement:
        found["nDCG@10"] = await _quality(embedder, data)
    await embedder.close()
    return found


async def _throughput(embedder: Embedder, documents: list[str]) -> dict[str, float]:
    started, worked = time.perf_counter(), time.process_time()
    await embedder.embed(documents, TextKind.DOCUMENT)
    return {
        "documents/s": len(documents) / (time.perf_counter() - started),
        "documents/cpu s": len(documents) / (time.process_time() - worked),
    }


async def _latency(embedder: Embedder, questions: list[str], label: str) -> dict[str, float]:
    waited = []
    for question in questions:
        started = time.perf_counter()
        await embedder.embed([question], TextKind.QUERY)
        waited.append(1000 * (time.perf_counter() - started))
    cuts = statistics.quantiles(waited, n=20)
    return {f"{label} p50 ms": statistics.median(waited), f"{label} p95 ms": cuts[-1]}


async def _latency_during_ingest(
    embedder: Embedder, documents: list[str], questions: list[str]
) -> dict[str, float]:
    ingest = asyncio.create_task(embedder.embed(documents * 20, TextKind.DOCUMENT))
    await asyncio.sleep(0)
    found = await _latency(embedder, questions, "query during ingest")
    ingest.cancel()
    await asyncio.gather(ingest, return_exceptions=True)
    return found


async def _quality(embedder: Embedder, data: RetrievalSet) -> float:
    """nDCG@10 of exact search."""
    texts = np.stack([np.asarray(v) for v in await embedder.embed(data.texts, TextKind.DOCUMENT)])
    asked = await embedder.embed(data.questions, TextKind.QUERY)
    scores = np.stack([np.asarray(v) for v in asked]) @ texts.T
    rankings = (-scores).argsort(axis=1, kind="stable")[:, :10].tolist()
    return mean(figures(rankings, data, ndcg_at_10))


def _memory_megabytes() -> float:
    """Resident memory now (Linux)."""
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


if __name__ == "__main__":
    main()
