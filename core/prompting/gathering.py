"""From a template and what is known of the turn to the parts of its prompt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from core.knowledge import Passage
from core.messages import Message, Part, Role, TextPart, ToolResultPart
from core.prompting.fencing import disarm, fenced, fenced_passage, nonce_for, passage_text
from core.prompting.parts import Priority, PromptPart, Provenance, SourceKind, Trust
from core.prompting.slots import FORMAT_SLOT, USER_SLOT, fill, slots_in, split_at_context
from core.prompting.templates import PromptTemplate


@dataclass(frozen=True, slots=True)
class Said:
    """A message that was said before, under the id that it has in the conversation ("" if none)."""

    message: Message
    id: str = ""


@dataclass(frozen=True, slots=True)
class TrimmingPolicy:
    """What goes first when the window is small.

    Exchanges older than the last `recent_exchanges`, then passages below the first
    `top_passages`, then the rest of the history, then the rest of the passages. More than
    `max_exchanges` are never taken in.
    """

    recent_exchanges: int = 2
    top_passages: int = 3
    max_exchanges: int = 50


@dataclass(frozen=True, slots=True)
class Material:
    """All that goes into one prompt besides the template.

    `inputs` are the caller's, for the template's slots. `output_format` stands in for the
    template's own. `tools` are the messages of tool calls and results of this turn.
    """

    message: Message
    message_id: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)
    passages: Sequence[Passage] = ()
    history: Sequence[Said] = ()
    tools: Sequence[Said] = ()
    output_format: str = ""
    trimming: TrimmingPolicy = field(default_factory=TrimmingPolicy)


def gather(
    template: PromptTemplate, material: Material, *, nonce: str | None = None
) -> tuple[PromptPart, ...]:
    """The parts of the prompt, in order.

    `nonce` names the fences; None derives it from what they hold. Raises InvalidInput for
    inputs that the template does not take.
    """
    values = template.values(material.inputs)
    name = nonce or nonce_for(_untrusted_texts(template, material, values))
    safe = {key: _input(template, key, value, name) for key, value in values.items()}
    safe[FORMAT_SLOT] = material.output_format or fill(template.format, safe)
    return (
        *_leading(template, safe),
        *_history(material, name),
        *_user(template, material, safe, name),
        *_tools(material.tools, name),
    )


def _untrusted_texts(
    template: PromptTemplate, material: Material, values: Mapping[str, str]
) -> Iterator[str]:
    yield from map(passage_text, material.passages)
    yield from (values[key] for key, spec in template.inputs.items() if spec.untrusted)
    for said in (*material.history, *material.tools):
        yield from (p.content for p in said.message.parts if isinstance(p, ToolResultPart))


def _input(template: PromptTemplate, key: str, value: str, nonce: str) -> str:
    untrusted = key in template.inputs and template.inputs[key].untrusted
    return fenced(value, nonce) if untrusted and value else disarm(value)


def _leading(template: PromptTemplate, values: Mapping[str, str]) -> tuple[PromptPart, ...]:
    """The operator's texts. The format stands here unless the template places it elsewhere.

    They are the same for the same values of the slots that they have, mostly for every request.
    """
    texts = (template.system, template.safety, template.developer)
    filled = [values.get(slot, "") for slot in _leading_slots(*texts)]
    key = (template.version, *texts, template.user, *filled)
    known = _KNOWN_LEADING.get(key)
    if known is not None:
        return known
    parts = tuple(_leading_parts(template, values))
    if sum(map(len, filled)) <= _SHORT:
        if len(_KNOWN_LEADING) >= _MOST_KNOWN:
            _KNOWN_LEADING.clear()
        _KNOWN_LEADING[key] = parts
    return parts


_KNOWN_LEADING: dict[tuple[str, ...], tuple[PromptPart, ...]] = {}
_MOST_KNOWN = 256
_SHORT = 2_000
"""Characters of values, above which they are hardly those of another request."""


@lru_cache(maxsize=_MOST_KNOWN)
def _leading_slots(*texts: str) -> tuple[str, ...]:
    """The slots of the operator's texts, and the format, which may stand among them."""
    return (FORMAT_SLOT, *sorted({slot for text in texts for slot in slots_in(text)}))


def _leading_parts(template: PromptTemplate, values: Mapping[str, str]) -> Iterator[PromptPart]:
    placed = any(FORMAT_SLOT in slots_in(text) for text in (template.system, template.user))
    sections = (
        (Role.SYSTEM, SourceKind.SYSTEM, fill(template.system, values)),
        (Role.SYSTEM, SourceKind.SAFETY, fill(template.safety, values)),
        (Role.DEVELOPER, SourceKind.DEVELOPER, fill(template.developer, values)),
        (Role.SYSTEM, SourceKind.FORMAT, "" if placed else values[FORMAT_SLOT]),
    )
    for role, kind, text in sections:
        if text.strip():
            source = Provenance(kind, template.version)
            yield PromptPart.of(role, text.strip(), source, Trust.TRUSTED)


def _user(
    template: PromptTemplate, material: Material, values: Mapping[str, str], nonce: str
) -> Iterator[PromptPart]:
    """The passages and the user's own words, where the template places them."""
    before, after = split_at_context(template.user) or ("", template.user)
    filled = {**values, USER_SLOT: disarm(material.message.text)}
    for text in (before, after):
        if text is after:
            yield from _passages(material, nonce)
        mine = USER_SLOT in slots_in(text)
        part = _user_text(fill(text, filled).strip(), material, template.version, mine=mine)
        if part.content:
            yield part


def _user_text(text: str, material: Material, version: str, *, mine: bool) -> PromptPart:
    content: tuple[Part, ...] = (TextPart(text),) if text else ()
    if not mine:
        source = Provenance(SourceKind.DEVELOPER, version)
        return PromptPart(Role.USER, content, source, Trust.TRUSTED)
    others = tuple(p for p in material.message.parts if not isinstance(p, TextPart))
    source = Provenance(SourceKind.USER, material.message_id)
    return PromptPart(Role.USER, content + others, source, Trust.CALLER)


def _passages(material: Material, nonce: str) -> Iterator[PromptPart]:
    for number, passage in enumerate(material.passages, start=1):
        top = number <= material.trimming.top_passages
        yield PromptPart.of(
            Role.USER,
            fenced_passage(passage, number, nonce),
            Provenance(SourceKind.RETRIEVED, passage.chunk.id),
            Trust.UNTRUSTED,
            priority=Priority.TOP_PASSAGE if top else Priority.TAIL_PASSAGE,
        )


def _history(material: Material, nonce: str) -> Iterator[PromptPart]:
    """Whole exchanges, oldest first; each stays or goes as one."""
    exchanges = _exchanges(material.history)[-material.trimming.max_exchanges :]
    recent_from = len(exchanges) - material.trimming.recent_exchanges
    for index, exchange in enumerate(exchanges):
        old = index < recent_from
        priority = Priority.OLD_HISTORY if old else Priority.RECENT_HISTORY
        for said in exchange:
            yield _said(said, SourceKind.HISTORY, nonce, priority, f"exchange-{index}")


def _tools(tools: Sequence[Said], nonce: str) -> Iterator[PromptPart]:
    """Calls and results of this turn; a call goes with its results."""
    unit = 0
    for said in tools:
        unit += said.message.role is not Role.TOOL
        yield _said(said, SourceKind.TOOL, nonce, Priority.TOOL_RESULT, f"tools-{unit}")


def _exchanges(history: Sequence[Said]) -> list[list[Said]]:
    """What a user said with all that was answered to it."""
    exchanges: list[list[Said]] = []
    for said in history:
        if said.message.role is Role.USER or not exchanges:
            exchanges.append([])
        exchanges[-1].append(said)
    return exchanges


def _said(said: Said, kind: SourceKind, nonce: str, priority: int, unit: str) -> PromptPart:
    trust = Trust.UNTRUSTED if said.message.role is Role.TOOL else Trust.CALLER
    content = tuple(_safe(part, nonce) for part in said.message.parts)
    source = Provenance(kind, said.id)
    return PromptPart(said.message.role, content, source, trust, priority, unit, alone=True)


def _safe(part: Part, nonce: str) -> Part:
    if isinstance(part, TextPart):
        return TextPart(disarm(part.text))
    if isinstance(part, ToolResultPart):
        return replace(part, content=fenced(part.content, nonce))
    return part
