"""Money: exact, never twice, unknown where a figure is unknown; the tables of prices."""

from __future__ import annotations

import json
import tomllib
from datetime import date
from decimal import Decimal
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.catalog import Capability
from core.errors import InvalidInput
from core.generation import TokenUsage
from core.price_table import PricedModel, PriceTable, parse_price_table, written
from core.prices import Prices, Rates, cost_of, most_cost
from core.public_prices import read_public_prices

DAY = date(2026, 11, 24)
DEAR = Prices(
    Decimal(3),
    Decimal(15),
    Decimal("0.3"),
    cache_write=Decimal("3.75"),
    request=Decimal("0.01"),
    reasoning=Decimal(20),
    long_from=1_000,
    long=Rates(Decimal(6), Decimal(30), Decimal("0.6"), Decimal("7.5")),
)


def test_cached_tokens_are_not_charged_twice() -> None:
    """Elsewhere: cache tokens billed twice (litellm 40006)."""
    usage = TokenUsage(prompt=100, completion=10, cached_prompt=60, cache_write=30, reasoning=4)
    expected = 10 * 3 + 60 * Decimal("0.3") + 30 * Decimal("3.75") + 6 * 15 + 4 * 20
    assert cost_of(usage, DEAR) == expected / 1_000_000 + Decimal("0.01")


def test_zero_is_believed_and_unknown_is_not_zero() -> None:
    """Elsewhere: explicit zero usage replaced by an estimate (litellm 37992)."""
    free = Prices(Decimal(0), Decimal(0))
    assert cost_of(TokenUsage(0, 0), DEAR) == Decimal("0.01")
    assert cost_of(TokenUsage(5, 5), free) == 0
    assert cost_of(TokenUsage(5, 5), Prices()) is None
    assert cost_of(TokenUsage(None, 5), free) is None
    assert most_cost(5, 5, Prices(input=Decimal(1))) is None


def test_a_long_prompt_costs_more_from_its_threshold_on() -> None:
    assert DEAR.rates(999).input == 3
    assert DEAR.rates(1_000).input == 6
    half = Prices(Decimal(3), Decimal(15), long_from=1_000)
    assert not half.known
    assert cost_of(TokenUsage(1_000, 1), half) is None


TOKENS = st.integers(0, 3_000)
PRICE = st.decimals(0, 100, places=3)


@given(prompt=TOKENS, output=TOKENS, data=st.data())
def test_no_usage_within_the_bounds_costs_more_than_the_most(
    prompt: int, output: int, data: st.DataObject
) -> None:
    prices = Prices(
        data.draw(PRICE),
        data.draw(PRICE),
        data.draw(st.none() | PRICE),
        cache_write=data.draw(st.none() | PRICE),
        reasoning=data.draw(st.none() | PRICE),
        request=data.draw(PRICE),
        long_from=data.draw(st.none() | st.integers(1, 2_000)),
        long=Rates(data.draw(PRICE), data.draw(PRICE), data.draw(st.none() | PRICE)),
    )
    read = data.draw(st.integers(0, prompt))
    wrote = data.draw(st.integers(0, output))
    usage = TokenUsage(
        read,
        wrote,
        cached_prompt=data.draw(st.none() | st.integers(0, prompt)),
        cache_write=data.draw(st.none() | st.integers(0, prompt)),
        reasoning=data.draw(st.none() | st.integers(0, wrote)),
    )
    cost, most = cost_of(usage, prices), most_cost(prompt, output, prices)
    assert cost is not None
    assert most is not None
    assert 0 <= cost <= most


MODELS = st.builds(
    PricedModel,
    provider=st.sampled_from(["openai", "anthropic"]),
    model=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
    prices=st.builds(
        Prices,
        input=st.none() | PRICE,
        output=st.none() | PRICE,
        cached_input=st.none() | PRICE,
        request=PRICE,
        as_of=st.dates(),
    ),
    context_window=st.none() | st.integers(1, 2_000_000),
    capabilities=st.frozensets(st.sampled_from([Capability.TOOLS, Capability.IMAGES])),
    takes_prefix=st.booleans(),
)


@given(st.lists(MODELS, max_size=4))
def test_a_table_that_is_written_is_read_back(models: list[PricedModel]) -> None:
    table = PriceTable.of(models)
    assert parse_price_table(tomllib.loads(written(table))) == table


def test_a_wrong_row_is_named() -> None:
    row = {"provider": "p", "model": "m", "as_of": DAY}
    with pytest.raises(InvalidInput) as wrong:
        parse_price_table({"models": [row, {**row, "input": "-1", "outputt": "2"}]})
    assert {v.field for v in wrong.value.violations} == {"models.1.input", "models.1.outputt"}
    with pytest.raises(InvalidInput, match="unknown key"):
        parse_price_table({"model": []})


def test_only_the_providers_own_entry_prices_a_model() -> None:
    mine = PricedModel("openai", "m", Prices(Decimal(1), Decimal(2)))
    table = PriceTable.of([mine])
    assert table.find("openai", "m") == mine
    assert table.find("elsewhere", "m") is None
    newer = PricedModel("openai", "m", Prices(Decimal(3), Decimal(4)))
    assert table.updated(PriceTable.of([newer])).find("openai", "m") == newer


def test_our_own_table_has_a_day_for_each_figure() -> None:
    shipped = (files("colonnaded") / "prices" / "models.toml").read_text(encoding="utf-8")
    table = parse_price_table(tomllib.loads(shipped))
    assert len(table.models) > 20
    assert all(each.prices.as_of for each in table.models.values())
    assert all(each.prices.known for each in table.models.values())


def test_the_public_table_is_read_exactly() -> None:
    text = """{
      "a": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1.5e-07,
            "output_cost_per_token": 6e-07, "cache_read_input_token_cost": 7.5e-08,
            "input_cost_per_token_above_200k_tokens": 3e-07, "max_input_tokens": 128000,
            "supports_vision": true, "supports_function_calling": false},
      "gemini/b": {"litellm_provider": "gemini", "mode": "embedding",
            "input_cost_per_token": 1e-07},
      "c": {"litellm_provider": "x", "output_cost_per_token": "much"},
      "d": {"litellm_provider": "x", "mode": "image_generation"}, "e": 7
    }"""
    read = read_public_prices(json.loads(text, parse_float=Decimal), DAY)
    first = read.table.models["openai", "a"]
    assert (first.prices.input, first.prices.output) == (Decimal("0.15"), Decimal("0.6"))
    assert (first.prices.long_from, first.prices.long.input) == (200_001, Decimal("0.3"))
    assert (first.context_window, first.capabilities) == (
        128_000,
        frozenset({Capability.IMAGES}),
    )
    embedder = read.table.models["gemini", "b"].prices
    assert (embedder.input, embedder.output) == (Decimal("0.1"), Decimal(0))
    assert not read.table.models["x", "c"].prices.known
    assert read.skipped == {"d": "mode image_generation", "e": "no object"}
