"""What the clients heard, the providers generated and the ledger holds, held against each other."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median

from chaos.crowd import Crowd
from chaos.providers import DEADLINE_S, FORMATS, WHOLE, tag_of
from fakes.provider_server import Outcome, Record

Key = tuple[str, str]
"""A try's tag, and the deployment that was asked for it."""
MOST_ATTEMPTS = 1.2
_DEPLOYMENTS = {format: name for name, format in FORMATS.items()}
_LATE_S = 1.0


@dataclass(frozen=True, slots=True)
class Booked:
    """One line of the ledger."""

    key: Key
    completion: int
    estimated: bool


@dataclass(slots=True)
class Books:
    """The ledger, how many attempts each try had, and how many were never booked."""

    lines: list[Booked] = field(default_factory=list)
    attempts: Counter[str] = field(default_factory=Counter)
    open: int = 0


def read_books(file: Path) -> Books:
    """All of the store."""
    books = Books()
    with sqlite3.connect(file) as store:
        for tag, booked in store.execute("SELECT feature, booked FROM attempt"):
            books.attempts[tag] += 1
            books.open += not booked
        rows = store.execute("SELECT feature, deployment, usage, estimated FROM ledger")
        for tag, deployment, usage, estimated in rows:
            completion = json.loads(usage)[1] or 0  # after the prompt
            books.lines.append(Booked((tag, deployment), completion, bool(estimated)))
    return books


def figures(
    crowd: Crowd, records: Sequence[Record], books: Books, learning: Collection[int]
) -> dict[str, object]:
    """All that was seen, and `violations`. While a breaker is `learning`, attempts don't count."""
    calls: Mapping[Key, list[Record]] = _by_key(records)
    known = [heard for heard in crowd.heard if heard.number not in learning]
    per_request = fmean([books.attempts[heard.tag] for heard in known]) if known else 0.0
    exact = [line for line in books.lines if not line.estimated]
    told = [record for record in records if record.outcome is Outcome.WHOLE and record.counted]
    generated = sum(record.tokens for record in records)
    first = sorted(heard.first_s for heard in crowd.heard)
    wrong = list(_wrong(crowd, calls, books))
    if per_request >= MOST_ATTEMPTS:
        wrong.append(f"{per_request:.3f} attempts a request")
    return {
        "requests": len(crowd.heard),
        "failures": sum(bool(heard.error) for heard in crowd.heard),
        "wrong_texts": sum(heard.words != WHOLE for heard in crowd.heard),
        "attempts_per_request": round(per_request, 4),
        "calls": dict(Counter(_DEPLOYMENTS[record.format] for record in records)),
        "exact_tokens": sum(line.completion for line in exact),
        "told_tokens": sum(record.tokens for record in told),
        "estimated_tokens": sum(line.completion for line in books.lines if line.estimated),
        "estimates": len(books.lines) - len(exact),
        "generated_tokens": generated,
        "interrupted": len(crowd.broken),
        "never_called": len(books.lines) - len(records),
        "first_ms_p50": round(1000 * median(first), 1),
        "first_ms_p99": round(1000 * first[int(0.99 * (len(first) - 1))], 1),
        "violations": wrong[:20],
    }


def _by_key(records: Sequence[Record]) -> Mapping[Key, list[Record]]:
    calls: defaultdict[Key, list[Record]] = defaultdict(list)
    for record in records:
        calls[tag_of(record.prompt), _DEPLOYMENTS[record.format]].append(record)
    return calls


def _wrong(crowd: Crowd, calls: Mapping[Key, list[Record]], books: Books) -> list[str]:
    wrong = [f"{heard.tag}: {heard.error}" for heard in crowd.heard if heard.error]
    wrong += [
        f"{heard.tag}: said {' '.join(heard.words)!r}"
        for heard in crowd.heard
        if not heard.error and heard.words != WHOLE
    ]
    lines: defaultdict[Key, list[Booked]] = defaultdict(list)
    for line in books.lines:
        lines[line.key].append(line)
    for key in {*calls, *lines}:
        wrong += _wrong_at(key, calls.get(key, []), lines[key], broken=key[0] in crowd.broken)
    received = Counter(line.key[0] for line in books.lines for _ in range(line.completion))
    wrong += [
        f"{heard.tag}: {len(heard.words)} tokens were received, {received[heard.tag]} booked"
        for heard in crowd.heard
        if received[heard.tag] < len(heard.words)
    ]
    return wrong + ([f"{books.open} attempts were never booked"] if books.open else [])


def _wrong_at(
    key: Key, calls: Sequence[Record], lines: Sequence[Booked], *, broken: bool
) -> list[str]:
    """One try's calls of one deployment against what was booked for them."""
    wrong = []
    unaccounted = len(calls) - len(lines)
    if unaccounted > 0 or (unaccounted < 0 and not broken):
        wrong.append(f"{key}: {len(calls)} calls, {len(lines)} lines")
    exact = Counter(line.completion for line in lines if not line.estimated)
    told = Counter(call.tokens for call in calls if call.outcome is Outcome.WHOLE and call.counted)
    if exact - told or (told - exact and not broken):
        wrong.append(f"{key}: booked {dict(exact)}, told {dict(told)}")
    estimated = sum(line.completion for line in lines if line.estimated)
    possible = sum(call.tokens for call in calls) - sum(n * count for n, count in exact.items())
    if estimated > possible:
        wrong.append(f"{key}: {estimated} estimated of {possible} generated")
    late = [c for c in calls if c.ended and c.ended - c.arrived > DEADLINE_S + _LATE_S]
    return wrong + [f"{key}: a call went on for {DEADLINE_S + _LATE_S:g} s" for _ in late]
