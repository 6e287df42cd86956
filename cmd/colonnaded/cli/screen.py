"""An answer as it grows on a terminal: Markdown while it streams, sources when it is done."""

from __future__ import annotations

import sys
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.markdown import Markdown
from rich.text import Text

from colonnade.client import Answer
from colonnade.v1.turns_pb2 import TurnEvent

_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


class Screen:
    """Shows the events of one turn. On what is no terminal, text is written as it comes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._text: list[str] = []
        self._live = Live(console=console, refresh_per_second=12, vertical_overflow="visible")
        self._rich = console.is_terminal

    def __enter__(self) -> Screen:
        if self._rich:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._rich:
            self._live.stop()
        else:
            sys.stdout.write("\n")
            sys.stdout.flush()

    def take(self, event: TurnEvent) -> None:
        """Show what this event adds, or takes away."""
        match event.WhichOneof("kind"):
            case "started" if self._text:
                self._text.clear()
                self._write("\n[the answer begins anew]\n")
            case "delta" if event.delta.text:
                self._write(event.delta.text)
            case "citation":
                self._write(str(event.citation.number).translate(_SUPERSCRIPTS))
            case "provider_switched":
                switch = event.provider_switched
                again = switch.from_model == switch.to_model
                then = "it is tried again" if again else f"{switch.to_model} goes on"
                self._note(f"{switch.from_model} failed ({switch.cause}); {then}")

    def foot(self, answer: Answer) -> None:
        """What stands under the answer: its sources, and how it came about."""
        for source in answer.sources:
            place = " > ".join((source.title, *source.headings))
            self._console.print(Text(f"  {source.number}  {place}  ({source.uri})"), style="dim")
        self._note(_account(answer))

    def _write(self, text: str) -> None:
        self._text.append(text)
        if self._rich:
            self._live.update(Markdown("".join(self._text)))
        else:
            sys.stdout.write(text)
            sys.stdout.flush()

    def _note(self, text: str) -> None:
        self._console.print(Text(f"  {text}"), style="dim italic")


def _account(answer: Answer) -> str:
    """Who answered, how it was checked, how long it took, what it cost."""
    by = {
        "EXTRACTION": "quoted from the documents",
        "REPAIR": f"{answer.model}, repaired",
        "MODEL": answer.model,
    }.get(answer.answered_by, answer.model)
    facts = [by]
    if answer.validation:
        facts.append(answer.validation.lower())
    if answer.finish_reason not in ("STOP", ""):
        facts.append(answer.finish_reason.lower())
    if answer.latencies is not None:
        facts.append(f"{answer.latencies.total.ToMilliseconds()} ms")
    if answer.cost is not None and answer.cost.amount:
        facts.append(str(answer.cost))
    return " · ".join(facts)
