"""Questions from a terminal: asked, streamed, cited."""

from __future__ import annotations

import json
import sys

from google.protobuf.json_format import MessageToDict
from rich.console import Console

from colonnade.client import Answer, AnswerStream, Client, ColonnadeError
from colonnaded.cli.connected import connected, explained
from colonnaded.cli.exits import Exit
from colonnaded.cli.question import Question
from colonnaded.cli.screen import Screen


def ask_once(question: str, wanted: Question, *, as_json: bool) -> None:
    """One turn without a conversation; the exit code tells whether it was answered."""
    with (
        connected() as client,
        client.stream(question, timeout=wanted.timeout, **wanted.fields()) as stream,
    ):
        if as_json:
            answer = stream.read_to_end()
            print(json.dumps(as_dict(answer), ensure_ascii=False))
        else:
            answer = _shown(stream, Console())
    if answer.refused:
        sys.exit(Exit.NOT_ANSWERED)
    if not answer.complete:
        sys.exit(Exit.FAILED)


def talk(wanted: Question) -> None:
    """Turn after turn in one conversation, until the input ends."""
    console = Console()
    with connected() as client:
        conversation = client.conversations.create(title="colonnade chat").name
        console.print("Ctrl-C cancels the answer, Ctrl-D leaves.", style="dim")
        while True:
            try:
                question = console.input("[bold]> [/bold]").strip()
            except EOFError:
                console.print()
                return
            except KeyboardInterrupt:
                console.print()
                continue
            if question:
                _turn(client, console, question, wanted, conversation)


def _turn(
    client: Client, console: Console, question: str, wanted: Question, conversation: str
) -> None:
    """One turn. Ctrl-C ends it and not the program; an error is told and does not end it."""
    try:
        with client.stream(
            question, timeout=wanted.timeout, **wanted.fields(conversation)
        ) as stream:
            _shown(stream, console)
    except KeyboardInterrupt:
        console.print("\ncancelled", style="yellow")
    except ColonnadeError as error:
        console.print(explained(error), style="red")


def _shown(stream: AnswerStream, console: Console) -> Answer:
    with Screen(console) as screen:
        for event in stream:
            screen.take(event)
    screen.foot(stream.answer)
    return stream.answer


def as_dict(answer: Answer) -> dict[str, object]:
    """For programs: what a script wants of an answer."""
    return {
        "text": answer.text,
        "refused": answer.refused,
        "complete": answer.complete,
        "finish_reason": answer.finish_reason,
        "validation": answer.validation,
        "answered_by": answer.answered_by,
        "model": answer.model,
        "prompt_version": answer.prompt_version,
        "turn_id": answer.turn_id,
        "request_id": answer.request_id,
        "citations": [
            MessageToDict(citation, preserving_proto_field_name=True)
            for citation in answer.citations
        ],
        "usage": MessageToDict(answer.usage, preserving_proto_field_name=True)
        if answer.usage
        else None,
        "cost": str(answer.cost) if answer.cost else None,
    }
