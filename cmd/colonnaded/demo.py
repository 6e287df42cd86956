"""`make demo`: a server process, client processes, real documents, and a connection that breaks.

python -m colonnaded.demo [FOLDER]: with a folder, its documents are asked about instead, by you.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from colonnade.client import Client
from colonnaded.cutting_proxy import cutting_proxy

PLACE = Path("build/demo")
DOCS = Path("docs")
PROGRAM = str(Path(sys.executable).with_name("colonnade"))
PATIENCE_S = 60.0

ANSWERED = (
    "How long is a request id kept after its turn has ended?",
    "What happens to a turn when its last reader goes away?",
)
CHINESE = "连接断开以后，怎样继续读取回答？"
NOT_ANSWERED = "Which telephone number does the support hotline have on Sundays?"
FREE = "Tell me in a few sentences why the sea is salty."
CUT_AFTER_BYTES = 1_000


def main() -> int:
    """Run the demo; the exit code tells whether everything went as it should."""
    own = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    PLACE.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with _server() as address:
        environment = {**os.environ, "COLONNADE_ADDRESS": address}
        collection = "yours" if own else "docs"
        _title(f"Taking in {own or DOCS}/ (unchanged files are skipped)")
        _client(environment, "ingest", str(own or DOCS), "--collection", collection)
        if own:
            _title("Your documents are in. Ask them; Ctrl-D leaves.")
            return _client(environment, "chat", "--collection", collection)
        sound = _questions(environment, collection) and _broken_connection(address, environment)
    _title(f"Done in {time.monotonic() - began:.0f} s; the server has stopped.")
    return 0 if sound else 1


def _questions(environment: Mapping[str, str], collection: str) -> bool:
    """Two answers, one in Chinese, one honest refusal; the exit codes say which they are."""
    sound = True
    for question, code in (*((q, 0) for q in ANSWERED), (CHINESE, 0), (NOT_ANSWERED, 8)):
        _title(question)
        sound &= _client(environment, "ask", question, "--collection", collection) == code
    _title("The log line of that request")
    print(json.dumps(_last_call(), indent=2, ensure_ascii=False))
    return sound


def _broken_connection(address: str, environment: Mapping[str, str]) -> bool:
    """A free chat turn of the local model, cut in mid-stream, resumed by the client."""
    _title(f"{FREE}  (from the model itself, through a connection that breaks)")
    with cutting_proxy(address, CUT_AFTER_BYTES, lambda: _mark("✂")) as proxy:
        shown = _echoed({**environment, "COLONNADE_ADDRESS": proxy}, "ask", "--free", FREE)
    with Client(address=address) as client:
        text = client.turn(str(_last_call()["turn_id"])).answer.parts[0].text
    whole = shown.replace("✂", "").startswith(text.strip())
    verdict = "none lost, none doubled" if whole else "NOT what the log holds"
    print(f"\n  ✂ marks the cut. The log has {len(text.split())} words; shown: {verdict}.")
    return whole


@contextmanager
def _server() -> Iterator[str]:
    """A server process on a free port; its log lies in the demo's folder."""
    _title("Starting the server")
    with (PLACE / "server.log").open("w") as log:
        process = subprocess.Popen(
            [PROGRAM, "serve", "--address", "127.0.0.1:0", "--demo-key"],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, "COLONNADE_DATA_DIR": str(PLACE / "data")},
        )
    try:
        yield _address(process)
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE_S)


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None  # it was asked for
    line = process.stdout.readline()
    if not line.startswith("listening on "):
        sys.exit(f"the server did not start; see {PLACE / 'server.log'}")
    address = line.removeprefix("listening on ").strip()
    print(f"  listening on {address}")
    return address


def _client(environment: Mapping[str, str], *arguments: str) -> int:
    """A client process on this terminal."""
    return subprocess.run([PROGRAM, *arguments], env=environment, check=False).returncode


def _echoed(environment: Mapping[str, str], *arguments: str) -> str:
    """A client process whose output is shown as it comes, and returned."""
    process = subprocess.Popen([PROGRAM, *arguments], env=environment, stdout=subprocess.PIPE)
    assert process.stdout is not None  # it was asked for
    shown = bytearray()
    while piece := os.read(process.stdout.fileno(), 4096):
        shown += piece
        sys.stdout.buffer.write(piece)
        sys.stdout.flush()
    process.wait()
    return shown.decode()


def _last_call() -> Mapping[str, object]:
    """The newest log line of a chat call."""
    calls: list[Mapping[str, object]] = [
        json.loads(line)
        for line in (PLACE / "server.log").read_text().splitlines()
        if line.startswith("{")
    ]
    return [call for call in calls if str(call.get("method", "")).endswith("Chat")][-1]


def _mark(sign: str) -> None:
    sys.stdout.write(sign)
    sys.stdout.flush()


def _title(text: str) -> None:
    print(f"\n\033[1m▌ {text}\033[0m", flush=True)


if __name__ == "__main__":
    sys.exit(main())
