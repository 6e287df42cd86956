"""From a template and what is known of the turn to the parts of its prompt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from core.knowledge import Passage
from core.messages import Message, Part, Role, TextPart, ToolResultPart
from core.prompting.fencing import disarm, fenced, fenced_passage, nonce_for, passage_text
from core.prompting.parts import Priority, PromptPart, Provenance, SourceKind, Trust
from core.prompting.slots import (
    CONTEXT_SLOT,
    FORMAT_SLOT,
    USER_SLOT,
    fill,
    slots_in,
    split_at_context,
)
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
    trimming: TrimmingPolicy = TrimmingPolicy()


def gather(
    template: PromptTemplate, material: Material, *, nonce: str | None = None
) -> tuple[PromptPart, ...]:
    """The parts of the prompt, in order.

    `nonce` names the fences; None derives it from what they hold. Raises InvalidInput for
    inputs that the template does not take.
    """
    inputs = template.values(material.inputs)
    name = nonce or nonce_for(_untrusted_texts(template, material, inputs))
    return (
        *_leading(template, material, inputs, name),
        *(_history(material, name) if material.history else ()),
        *_user(template, material, inputs, name),
        *(_tools(material.tools, name) if material.tools else ()),
    )


def _untrusted_texts(
    template: PromptTemplate, material: Material, inputs: Mapping[str, str]
) -> Sequence[str]:
    texts = [*map(passage_text, material.passages)]
    for name in template.untrusted:
        texts.append(inputs[name])
    for said in (*material.history, *material.tools):
        for part in said.message.parts:
            if isinstance(part, ToolResultPart):
                texts.append(part.content)
    return texts


def _values(
    template: PromptTemplate, material: Material, inputs: Mapping[str, str], nonce: str
) -> dict[str, str]:
    """What fills the slots, disarmed or fenced."""
    values = {name: _input(template, name, value, nonce) for name, value in inputs.items()}
    values[FORMAT_SLOT] = material.output_format or fill(template.format, values)
    return values


def _input(template: PromptTemplate, name: str, value: str, nonce: str) -> str:
    return fenced(value, nonce) if name in template.untrusted and value else disarm(value)


def _leading(
    template: PromptTemplate, material: Material, inputs: Mapping[str, str], nonce: str
) -> tuple[PromptPart, ...]:
    """The operator's texts. The format stands here unless the template places it elsewhere.

    They are the same for the same values of the slots that they have, mostly for every request.
    """
    slots = _slots_of(template.system, template.safety, template.developer, template.format)
    filled = [material.output_format, *[inputs[slot] for slot in slots if slot in inputs]]
    key = (template.version, nonce if template.untrusted else "", *filled)
    known = _KNOWN_LEADING.get(key)
    if known is not None:
        return known
    parts = tuple(_leading_parts(template, _values(template, material, inputs, nonce)))
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
def _slots_of(*texts: str) -> tuple[str, ...]:
    """The slots of these texts, each once."""
    return tuple(sorted({slot for text in texts for slot in slots_in(text)}))


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
    template: PromptTemplate, material: Material, inputs: Mapping[str, str], nonce: str
) -> Sequence[PromptPart]:
    """The passages and the user's own words, where the template places them."""
    before, after = split_at_context(template.user) or ("", template.user)
    more = _takes_inputs(template.user)
    values = _values(template, material, inputs, nonce) if more else {}
    values[USER_SLOT] = disarm(material.message.text)
    return (
        *(_words(before, values, material, template.version) if before else ()),
        *(_passages(material, nonce) if material.passages else ()),
        *_words(after, values, material, template.version),
    )


@lru_cache(maxsize=_MOST_KNOWN)
def _takes_inputs(user: str) -> bool:
    """Whether the user's text has other slots than those for the words and the passages."""
    return not {USER_SLOT, CONTEXT_SLOT}.issuperset(slots_in(user))


def _words(
    text: str, values: Mapping[str, str], material: Material, version: str
) -> Sequence[PromptPart]:
    """What the template says in this text; what the user sends stands where the user speaks."""
    words = fill(text, values).strip()
    content: tuple[Part, ...] = (TextPart(words),) if words else ()
    if USER_SLOT in slots_in(text):
        content += tuple([p for p in material.message.parts if type(p) is not TextPart])
        source, trust = Provenance(SourceKind.USER, material.message_id), Trust.CALLER
    else:
        source, trust = Provenance(SourceKind.DEVELOPER, version), Trust.TRUSTED
    return (PromptPart(Role.USER, content, source, trust),) if content else ()


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
