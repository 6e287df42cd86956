"""Citations through the whole server, in texts whose bytes and characters are far apart.

A client may cut the answer's bytes at each citation and gets the statement; it may cut the
document's characters and gets the quotation.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from adapters.models.extractive import ExtractiveModel
from colonnade.v1.chat_pb2 import (
    GROUNDING_FINAL,
    GROUNDING_SENTENCE,
    GetTurnRequest,
    Grounding,
)
from colonnade.v1.conversations_pb2 import ListMessagesRequest
from colonnade.v1.messages_pb2 import Citation
from colonnade.v1.retrieval_pb2 import SearchRequest
from colonnade.v1.turns_pb2 import TurnEvent
from core.catalog import Tier
from core.generation import GenerationRequest
from core.ports.language_model import LanguageModel
from fakes.language_model import Script, ScriptedModel, a_deployment, script
from fakes.served_node import ServedNode, ask, pieces, served_node

NOTES = """# 桥与灯塔 🌉

青石大桥于1904年建成,全长812米。🚧 大桥在1937年的洪水中受损,次年修复。

灯塔🗼高47米,每12秒闪光一次。守塔人王小明👨‍👩‍👧在那里住了三十年。

The café “Zoë” opened at 07:30 — naïve travellers 🧳 arrive before that. It closes at 19:00.
"""
MORE = (
    "<html><body><h1>渡口 ⛴️</h1><p>渡船🚢每天06:15出发,𠮷田先生驾驶。票价是3元。</p></body></html>"
)
FILES = {"bridge.md": NOTES.encode(), "ferry.html": MORE.encode()}
SENTENCES = {
    "大桥是哪一年建成的?": "青石大桥于1904年建成,全长812米。",
    "灯塔多高?": "灯塔🗼高47米,每12秒闪光一次。",
    "When does the café open?": (
        "The café “Zoë” opened at 07:30 — naïve travellers 🧳 arrive before that."
    ),
    "渡船几点出发?": "渡船🚢每天06:15出发,𠮷田先生驾驶。",
}
MODEL = "subject"


SMILE = "😀👋🏽 "
OPENING = SENTENCES["渡船几点出发?"]


def quoting(smile: str, request: GenerationRequest) -> Script:
    """Says two sentences in small pieces, each with where it stands, maybe behind a smiley."""
    said = ""
    for wanted in (OPENING, SENTENCES[request.question]):
        places = (i for i, p in enumerate(request.context, 1) if wanted in p.chunk.text)
        said += f"{smile}{wanted} [{next(places)}]\n\n"
    return script(*(said[at : at + 3] for at in range(0, len(said), 3)))


def writer(tier: Tier, smile: str = "") -> LanguageModel:
    deployment = replace(a_deployment(MODEL), tier=tier)
    return ScriptedModel(choose=partial(quoting, smile), deployment=deployment)


def extractive() -> LanguageModel:
    deployment = replace(a_deployment(MODEL), tier=Tier.EXTRACTIVE)
    return ExtractiveModel(deployment)


async def asked(node: ServedNode, question: str, grounding: Grounding.ValueType) -> list[TurnEvent]:
    request = ask(question, collections=["collections/docs"], grounding=grounding, model=MODEL)
    call = node.stubs.chat.StreamChat(request, metadata=node.key())
    return [event async for message in call for event in message.events]


async def check_quotation(node: ServedNode, citation: Citation, statement: str) -> None:
    """The quotation stands where the citation says: in the chunk, and in the file."""
    assert citation.cited_text == statement
    assert citation.cited_text in FILES[citation.uri].decode()
    request = SearchRequest(query=citation.cited_text, collections=["collections/docs"], limit=50)
    found = await node.stubs.retrieval.Search(request, metadata=node.key())
    (chunk,) = [hit.chunk for hit in found.hits if hit.chunk.chunk_id == citation.chunk_id]
    assert chunk.document == citation.document
    start = citation.span.start_character - chunk.span.start_character
    end = citation.span.end_character - chunk.span.start_character
    assert chunk.text[start:end] == citation.cited_text


@pytest.mark.parametrize("grounding", [GROUNDING_SENTENCE, GROUNDING_FINAL])
@pytest.mark.parametrize(
    ("model", "smile"),
    [
        (writer(Tier.STRONG), ""),
        (writer(Tier.STRONG, SMILE), SMILE),
        (writer(Tier.TINY), ""),
        (extractive(), ""),
    ],
    ids=["strong", "strong in its own words", "tiny", "quotes"],
)
async def test_bytes_are_the_statement_and_characters_the_quotation(
    model: LanguageModel, smile: str, grounding: Grounding.ValueType
) -> None:
    async with served_node(model, real_reader=True) as node:
        kept = await node.ingest(pieces("docs", FILES))
        assert kept.ingested_count == 2
        for question, sentence in SENTENCES.items():
            events = await asked(node, question, grounding)
            answer = "".join(event.delta.text for event in events).encode()
            statements = []
            for citation in (event.citation for event in events if event.HasField("citation")):
                statement = answer[citation.start_byte : citation.end_byte].decode()
                statements.append(statement)
                if smile:  # the words are the model's, so nothing is shown as a quotation
                    assert not citation.cited_text
                    assert not citation.span.end_character
                else:
                    await check_quotation(node, citation, statement)
            assert statements[-1] == smile + sentence


async def test_the_stored_answer_has_the_citations_of_the_stream() -> None:
    async with served_node(writer(Tier.STRONG), real_reader=True) as node:
        await node.ingest(pieces("docs", FILES))
        talk = await node.converse()
        request = ask("灯塔多高?", collections=["collections/docs"], conversation=talk)
        call = node.stubs.chat.StreamChat(request, metadata=node.key())
        events = [event async for message in call for event in message.events]
        text = "".join(event.delta.text for event in events)
        cited = [event.citation for event in events if event.HasField("citation")]
        listed = await node.stubs.conversations.ListMessages(
            ListMessagesRequest(parent=talk), metadata=node.key()
        )
        turn = await node.stubs.chat.GetTurn(
            GetTurnRequest(turn_id=events[0].started.turn_id), metadata=node.key()
        )
        for answer in (listed.messages[-1], turn.answer):
            assert [part.text for part in answer.parts] == [text]
            assert list(answer.citations) == cited
            assert (answer.model, answer.partial) == (MODEL, False)
