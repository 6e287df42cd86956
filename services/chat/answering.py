"""One run of a turn: the machine decides, this performs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from core.call import Call
from core.chat import ChatRequest
from core.clock import Clock
from core.errors import (
    ColonnadeError,
    ContextTooLong,
    FeatureUnsupported,
    ModelsUnavailable,
    Unavailable,
)
from core.generation import TextDelta
from core.grounding.refusals import refusal_text
from core.identifiers import CollectionName, Seconds
from core.ports.model_gateway import (
    GenerationOrder,
    ModelGateway,
    Selected,
    SpendingUnit,
)
from core.ports.retriever import LONGEST_QUERY, Retriever, SearchRequest
from core.ports.state import State
from core.ports.telemetry import Telemetry
from core.prompting.catalog import PromptCatalog
from core.prompting.gathering import Material, Said, gather
from core.prompting.templates import PromptTemplate
from core.routing import TaskClass
from core.text.language import detect_language
from core.turns.events import Started
from core.turns.machine import (
    Ask,
    Effect,
    Emit,
    End,
    Found,
    Hush,
    QuotingFailed,
    RunState,
    Search,
    Step,
    advance,
    begin,
)
from core.turns.rows import EndReason, Turn, TurnFailure
from services.turns.run import Run

_REFUSAL = "refusal"
"""The input of a template that says how a question is declined."""


@dataclass(frozen=True, slots=True)
class AnsweringPolicy:
    """The operator's choices for chat turns.

    `retrieval` bounds the search within a turn's deadline; `passages` is how many are given to
    the model; `history` how many earlier messages are read.
    """

    chat_prompt: str = "chat"
    grounded_prompt: str = "grounded"
    default_collection: CollectionName = CollectionName("default")
    passages: int = 6
    history: int = 100
    retrieval: Seconds = Seconds(10.0)


@dataclass(slots=True)
class _Work:
    """What one run is about."""

    call: Call
    request: ChatRequest
    run: Run
    template: PromptTemplate
    question: str
    language: str
    history: Sequence[Said]


class Answering:
    """Performs the effects of the run's machine through the ports."""

    def __init__(
        self,
        state: State,
        gateway: ModelGateway,
        retriever: Retriever,
        prompts: PromptCatalog,
        telemetry: Telemetry,
        clock: Clock,
        policy: AnsweringPolicy,
    ) -> None:
        self._state = state
        self._gateway = gateway
        self._retriever = retriever
        self._prompts = prompts
        self._telemetry = telemetry
        self._clock = clock
        self._policy = policy

    def template_for(self, request: ChatRequest) -> PromptTemplate:
        """The template that the request names, or the one for its mode. Raises NotFound."""
        if request.prompt.name:
            return self._prompts.get(request.prompt.name)
        grounded = request.grounded_in_documents
        return self._prompts.get(
            self._policy.grounded_prompt if grounded else self._policy.chat_prompt
        )

    async def produce(
        self, call: Call, request: ChatRequest, run: Run, previous: TurnFailure | None
    ) -> EndReason:
        """Emit the run's events until the answer has ended; raises what made it fail."""
        try:
            work = await self._work(call, request, run)
            state, effects = begin(
                _started(run.turn, work.template, request, previous),
                grounded=request.grounded_in_documents,
                grounding=request.effective_grounding,
                language=work.language,
            )
            while effects:
                following: tuple[Effect, ...] = ()
                for effect in effects:  # a search, and a model that is asked, comes last
                    match effect:
                        case Emit(event):
                            await run.emit(event)
                        case Search():
                            state, following = advance(state, await self._search(work))
                        case Ask(only_extractive):
                            state, following = await self._ask(work, state, only_extractive)
                        case Hush():
                            pass  # leaving the stream has stopped the model
                        case End(reason):
                            return reason
                effects = following
            raise AssertionError("a run ends by the effect End")
        except Exception as error:
            if not isinstance(error, ColonnadeError | TimeoutError):
                self._telemetry.failed(call.id, error)
            raise

    async def _ask(self, work: _Work, state: RunState, only_extractive: bool) -> Step:
        """Have a model write until it ends or is not wanted any more; what is to be done then."""
        run, order = work.run, self._order(work, state, only_extractive)
        began, free = self._clock.monotonic(), state.is_free
        try:
            async with aclosing(self._gateway.generate(work.call, order)) as heard:
                async for happening in heard:
                    if free and type(happening) is TextDelta:  # nearly all that is heard
                        if happening.text and not run.say(happening.text):
                            await run.log.room()
                        continue
                    if type(happening) is Selected:  # the call comes next
                        await run.hold_lease()
                    state, effects = advance(state, happening)
                    for at, effect in enumerate(effects):
                        if type(effect) is not Emit:
                            return state, effects[at:]
                        await run.emit(effect.event)
                    free = state.is_free
        except (ModelsUnavailable, FeatureUnsupported, ContextTooLong):
            if not only_extractive:
                raise
            return advance(state, QuotingFailed())
        finally:
            run.generated_for(Seconds(self._clock.monotonic() - began))
        raise AssertionError("a generation ends with Completed or raises")

    async def _search(self, work: _Work) -> Found:
        request = work.request
        wanted = SearchRequest(
            query=work.question.strip()[-LONGEST_QUERY:],  # where a question is asked
            collections=request.collections or (self._policy.default_collection,),
            limit=self._policy.passages,
            where=request.filter,
        )
        until = min(work.run.deadline, self._clock.monotonic() + self._policy.retrieval)
        call = replace(work.call, deadline=Seconds(until))
        try:
            async with asyncio.timeout(self._policy.retrieval):  # the run sees to its deadline
                result = await self._retriever.search(call, wanted)
        except TimeoutError as late:
            raise Unavailable("the documents could not be searched in time") from late
        return Found(result.passages, degraded=bool(result.missing))

    def _order(self, work: _Work, state: RunState, only_extractive: bool) -> GenerationOrder:
        request, turn = work.request, work.run.turn
        material = Material(
            message=request.message,
            message_id=turn.user_message or "",
            inputs=_inputs(work),
            passages=state.passages,
            history=work.history,
        )
        return GenerationOrder(
            unit=SpendingUnit(
                turn.id,
                turn.tenant,
                turn.user,
                turn.feature,
                turn.run,
                turn.epoch,
                work.call.principal.key,
            ),
            parts=gather(work.template, material),
            question=work.question,
            deadline=work.run.deadline,
            context=state.passages,
            task=TaskClass.GROUNDED_ANSWER if state.grounded else work.template.task_class,
            model=request.model,
            only_extractive=only_extractive,
            constraints=request.constraints,
            options=request.options,
            language=work.language,
            key=turn.conversation or "",
            accepts_restart=turn.retractions,
        )

    async def _work(self, call: Call, request: ChatRequest, run: Run) -> _Work:
        template, question = self.template_for(request), request.message.text
        language = request.language or detect_language(question)
        history = await self._history(run.turn, request)
        return _Work(call, request, run, template, question, language, history)

    async def _history(self, turn: Turn, request: ChatRequest) -> Sequence[Said]:
        """What was said before, oldest first: the stored branch, or what the caller sent."""
        if turn.conversation is None:
            return [Said(message) for message in request.messages] if request.messages else ()
        if turn.parent is None:
            return ()
        async with self._state.snapshot(turn.tenant) as view:
            branch = await view.conversations.branch(
                turn.conversation, turn.parent, self._policy.history
            )
        return [Said(stored.message, stored.id) for stored in branch]


def _inputs(work: _Work) -> Mapping[str, str]:
    """The caller's inputs; a template that wants the words of a refusal gets the language's."""
    given = work.request.prompt.inputs
    if _REFUSAL not in work.template.inputs or _REFUSAL in given:
        return given
    return {**given, _REFUSAL: refusal_text(work.language)}


def _started(
    turn: Turn, template: PromptTemplate, request: ChatRequest, previous: TurnFailure | None
) -> Started:
    return Started(
        turn=turn.id,
        run=turn.run,
        prompt_version=template.version,
        model=request.model,
        request_id=turn.request_id,
        conversation=turn.conversation,
        user_message=turn.user_message,
        previous_error=previous,
    )
