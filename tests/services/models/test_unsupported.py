"""What an adapter has no words for is told by name and booked as nothing: none of it was sent."""

from __future__ import annotations

from decimal import Decimal

from core.errors import FeatureUnsupported, ModelsUnavailable
from core.generation import ModelError, ModelErrorKind, TokenUsage
from fakes.gateway_node import gateway_node
from fakes.language_model import Fail, script
from fakes.turn_node import a_model

LACKS = script(Fail(ModelError(ModelErrorKind.UNSUPPORTED, "strong does not support leaps")))
DOWN = script(Fail(ModelError(ModelErrorKind.OVERLOADED, "busy")))


async def test_it_is_told_by_name_and_booked_as_nothing() -> None:
    node = gateway_node(a_model(LACKS), a_model(LACKS, name="other"))
    heard = await node.hear()
    assert isinstance(heard.error, FeatureUnsupported)
    assert "leaps" in heard.error.message
    lines = await node.ledger()
    assert [(line.usage, line.cost) for line in lines] == [(TokenUsage(0, 0), Decimal(0))] * 2


async def test_another_is_asked() -> None:
    node = gateway_node(a_model(LACKS), a_model(script("Yes."), name="other", price="2"))
    assert (await node.hear()).text == "Yes."


async def test_among_other_failures_it_is_one_of_them() -> None:
    node = gateway_node(a_model(LACKS), a_model(DOWN, name="other", price="2"))
    error = (await node.hear()).error
    assert isinstance(error, ModelsUnavailable)
    assert dict(error.attempts) == {"strong": "unsupported", "other": "overloaded"}
