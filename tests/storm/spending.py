"""The ledger against what the models of all processes wrote down."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.turns.outcome import BYTES_PER_TOKEN_FLOOR
from core.turns.rows import Attempt, LedgerLine
from storm.questions import Question

Usage = tuple[int | None, int | None]
_BOOKED_WITHIN_S = 5.0


@dataclass
class ModelCall:
    """One call of one provider, as its model wrote it down. `usage` None: it told none.

    `life` is the process that made it, `died` when that was killed. Times are the wall clock's.
    """

    name: str
    deployment: str
    prompt: int
    began: float
    life: str
    died: float | None
    ended: float | None = None
    usage: Usage | None = None

    @property
    def lived_on(self) -> float | None:
        """Seconds that its process had to book what the model told; None where it had enough."""
        if self.ended is None or self.died is None or self.died - self.ended > _BOOKED_WITHIN_S:
            return None
        return self.died - self.ended


@dataclass
class Spending:
    """What all turns cost, and what was wrong about it. Tokens are prompt and output together.

    `never_called`: attempts that were on record when their process died, before the call.
    `forgotten`: counts that a model told just before its process died, and how long before at
    most; they are estimates now.
    """

    calls: int = 0
    lines: int = 0
    exact: int = 0
    estimated: int = 0
    never_called: int = 0
    forgotten: int = 0
    forgotten_within_s: float = 0.0
    tokens_by_models: int = 0
    tokens_booked_exactly: int = 0
    wrong: list[str] = field(default_factory=list)


def read_notebooks(folder: Path, deaths: Mapping[str, float]) -> Mapping[str, list[ModelCall]]:
    """The calls of all processes, by the question's name. `deaths`: lives that were killed."""
    calls: dict[str, ModelCall] = {}
    for file in sorted(folder.glob("calls-*.jsonl")):
        died = deaths.get(file.stem)
        for line in file.read_text().splitlines():
            note = json.loads(line)
            call = calls.get(note["call"])
            if call is None:
                calls[note["call"]] = ModelCall(
                    note["name"], note["deployment"], note["prompt"], note["at"], file.stem, died
                )
            else:
                call.ended = note["at"]
                usage = note["usage"]
                call.usage = (usage["prompt"], usage["completion"]) if usage else None
    by_name: defaultdict[str, list[ModelCall]] = defaultdict(list)
    for call in calls.values():
        by_name[call.name].append(call)
    return by_name


def compare(
    question: Question,
    calls: Sequence[ModelCall],
    attempts: Sequence[Attempt],
    lines: Sequence[LedgerLine],
    total: Spending,
) -> None:
    """Add one turn's spending to the total: each attempt is booked once, as it was called."""
    total.calls += len(calls)
    total.lines += len(lines)
    wrong = [
        *_unbooked(attempts, lines),
        *(
            problem
            for name in {a.deployment for a in attempts} | {c.deployment for c in calls}
            for problem in _compare_one(
                question,
                [call for call in calls if call.deployment == name],
                [attempt for attempt in attempts if attempt.deployment == name],
                [line for line in lines if line.deployment == name],
                total,
            )
        ),
    ]
    total.wrong += [f"{question.name}: {problem}" for problem in wrong]


def _unbooked(attempts: Sequence[Attempt], lines: Sequence[LedgerLine]) -> Iterator[str]:
    booked = Counter(line.attempt for line in lines)
    for attempt in attempts:
        if booked[attempt.number] != 1 or not attempt.booked:
            yield f"attempt {attempt.number} is booked {booked[attempt.number]} times"
    for number in booked.keys() - {attempt.number for attempt in attempts}:
        yield f"line {number} has no attempt"


def _compare_one(
    question: Question,
    calls: Sequence[ModelCall],
    attempts: Sequence[Attempt],
    lines: Sequence[LedgerLine],
    total: Spending,
) -> Iterator[str]:
    """One deployment's calls and lines; the model does not know the attempts' numbers."""
    if len(calls) > len(attempts):
        yield f"{len(calls)} calls on {len(attempts)} attempts"
    told = Counter(call.usage for call in calls if call.usage is not None)
    total.tokens_by_models += sum(_sum(call.usage) for call in calls if call.usage)
    exact = Counter(_usage(line) for line in lines if not line.estimated)
    unused = exact.pop((0, 0), 0)
    for usage, count in exact.items():
        total.exact += count
        total.tokens_booked_exactly += count * _sum(usage)
        if count > told[usage]:
            yield f"{usage} is booked {count} times and was used {told[usage]} times"
    forgotten = sum((told - exact).values())
    total.forgotten += forgotten
    in_time = sorted(call.lived_on for call in calls if call.usage and call.lived_on is not None)
    if forgotten > len(in_time):
        yield f"{forgotten} counts were told and never booked"
    elif forgotten:
        total.forgotten_within_s = max(total.forgotten_within_s, in_time[forgotten - 1])
    estimated = [line for line in lines if line.estimated]
    total.estimated += len(estimated)
    not_exact = len(calls) - exact.total()
    if len(estimated) < not_exact:
        yield f"{not_exact} calls without a count, {len(estimated)} estimates"
    total.never_called += unused + len(estimated) - not_exact
    most_prompt = max((attempt.prompt_tokens for attempt in attempts), default=0)
    most_output = -(-len(question.answer.encode()) // BYTES_PER_TOKEN_FLOOR)
    least_prompt = min((call.prompt for call in calls), default=0)
    for line in estimated:
        prompt, output = line.usage.prompt or 0, line.usage.completion or 0
        if not (least_prompt <= prompt <= most_prompt and output <= max(most_output, 1)):
            yield f"an estimate out of bounds: {prompt}, {output}"


def _usage(line: LedgerLine) -> Usage:
    return line.usage.prompt, line.usage.completion


def _sum(usage: Usage | None) -> int:
    return sum(count or 0 for count in usage or ())
