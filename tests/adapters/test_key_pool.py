from __future__ import annotations

import pytest

from adapters.models.key_pool import RATE_LIMITED_REST, REFUSED_REST, KeyPool
from core.generation import ModelError, ModelErrorKind
from core.identifiers import Seconds
from fakes.provider_models import broken_answer, events_of, provider
from fakes.provider_server import Asked, Plan, Refusal

LIMITED = ModelError(ModelErrorKind.RATE_LIMITED, "slow down", retry_after=Seconds(9.0))
REFUSED = ModelError(ModelErrorKind.AUTHENTICATION, "who are you?")


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def pool(*keys: str) -> tuple[KeyPool, Time]:
    time = Time()
    return KeyPool(keys, time), time


class TestTurns:
    def test_the_one_that_was_not_used_for_longest_is_next(self) -> None:
        keys, time = pool("a", "b", "c")
        taken = []
        for time.now in range(1, 7):
            taken.append(keys.take())
        assert taken == ["a", "b", "c", "a", "b", "c"]

    @pytest.mark.parametrize("error", [LIMITED, REFUSED])
    def test_a_single_key_is_given_whatever_was_said(self, error: ModelError) -> None:
        keys, _ = pool("a")
        assert keys.judge("a", error) is error
        assert keys.take() == "a"

    def test_no_key_is_none(self) -> None:
        assert pool("")[0].take() == ""


class TestResting:
    def test_a_limited_key_rests_as_long_as_the_provider_says(self) -> None:
        keys, time = pool("a", "b")
        told = keys.judge(keys.take(), LIMITED)
        assert (told.kind, told.retry_after) == (ModelErrorKind.RATE_LIMITED, 0.0)
        time.now = 8.9
        assert {keys.take(), keys.take()} == {"b"}
        time.now = 9.0
        assert keys.take() == "a"

    def test_or_for_a_while_where_it_says_nothing(self) -> None:
        keys, time = pool("a", "b")
        keys.judge("a", ModelError(ModelErrorKind.RATE_LIMITED, "slow down"))
        time.now = RATE_LIMITED_REST
        assert keys.take() == "a"

    def test_a_refused_key_rests_for_long_and_the_deployment_does_not(self) -> None:
        keys, time = pool("a", "b")
        told = keys.judge("a", REFUSED)
        assert (told.kind, told.retry_after) == (ModelErrorKind.RATE_LIMITED, 0.0)
        time.now = REFUSED_REST - 1
        assert {keys.take(), keys.take()} == {"b"}

    def test_when_all_rest_the_soonest_is_told(self) -> None:
        keys, time = pool("a", "b")
        keys.judge("a", REFUSED)
        told = keys.judge("b", LIMITED)
        assert (told.kind, told.retry_after) == (ModelErrorKind.RATE_LIMITED, 9.0)
        time.now = 4.0
        with pytest.raises(ModelError) as caught:
            keys.take()
        assert caught.value.retry_after == 5.0

    def test_when_all_are_refused_that_is_told(self) -> None:
        keys, _ = pool("a", "b")
        keys.judge("a", REFUSED)
        assert keys.judge("b", REFUSED).kind is ModelErrorKind.AUTHENTICATION
        with pytest.raises(ModelError) as caught:
            keys.take()
        assert caught.value.kind is ModelErrorKind.AUTHENTICATION

    def test_other_errors_are_no_keys_fault(self) -> None:
        keys, _ = pool("a", "b")
        error = ModelError(ModelErrorKind.OVERLOADED, "busy")
        assert keys.judge("a", error) is error
        assert keys.take() == "a"


async def test_a_call_that_is_repeated_gets_another_key() -> None:
    def plan(asked: Asked) -> Plan:
        return Plan(refusal=Refusal(401)) if asked.number == 0 else Plan()

    keys = {"api_key": "first-key", "more_keys": ("second-key",)}
    rested: list[str] = []
    async with provider("messages", plan, **keys, key_rested=rested.append) as (model, server):
        _, error = await broken_answer(model)
        assert error.retry_after == 0.0
        await events_of(model)
        await events_of(model)
    sent = [record.headers["x-api-key"] for record in server.records]
    assert sent == ["first-key", "second-key", "second-key"]
    assert rested == ["authentication"]
