"""An order in the words of routing, and who answered a conversation last."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace

from core.identifiers import DeploymentName, Seconds, TenantId
from core.ports.model_gateway import GenerationOrder
from core.prompting.parts import PromptPart
from core.replacing import replaced
from core.routing import RoutingRequest, needs_of

_USUAL_BYTES_PER_TOKEN = 4
_REMEMBERED = 10_000


def wanted(order: GenerationOrder) -> RoutingRequest:
    """What is asked of the catalog. Quotations need nothing but a model that quotes.

    What only ranks those who can do it is left to `to_rank`.
    """
    if order.only_extractive:
        constraints = replace(order.constraints, tier=None)
        return RoutingRequest(order.task, constraints=constraints, only_quotes=True)
    return RoutingRequest(
        task=order.task,
        model=order.model,
        constraints=order.constraints,
        capabilities=needs_of(
            order.options, {type(piece) for part in order.parts for piece in part.content}
        ),
        output_tokens=order.options.max_output_tokens,
        language=order.language,
        minimum_tier=order.minimum_tier,
    )


def to_rank(
    request: RoutingRequest, order: GenerationOrder, holder: DeploymentName | None = None
) -> RoutingRequest:
    """The same, with what ranks those who can do it. Those who quote are all alike."""
    if order.only_extractive:
        return request
    return replaced(request, expected_prompt=_expected(order.parts), key=order.key, holder=holder)


def _expected(parts: Sequence[PromptPart]) -> int:
    """A guess that only ranks: the bound is counted with the deployment's own counter."""
    return sum([len(part.text.encode()) for part in parts]) // _USUAL_BYTES_PER_TOKEN


class Affinity:
    """Which deployment answered a key last, and so has its prompt in a cache."""

    def __init__(self, lasts: Callable[[], Seconds]) -> None:
        self._lasts = lasts
        self._known: OrderedDict[tuple[TenantId, str], tuple[DeploymentName, Seconds]]
        self._known = OrderedDict()

    def holder(self, order: GenerationOrder, now: Seconds) -> DeploymentName | None:
        """The deployment that answered this order's key; None where that is too long ago."""
        name, since = self._known.get((order.unit.tenant, order.key), (None, now))
        return name if order.key and now - since < self._lasts() else None

    def remember(self, order: GenerationOrder, name: DeploymentName, now: Seconds) -> None:
        """It has answered."""
        if not order.key or self._lasts() <= 0:
            return
        key = (order.unit.tenant, order.key)
        self._known[key] = (name, now)
        self._known.move_to_end(key)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
