"""What tokens cost: exact, and unknown where a figure is unknown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.generation import TokenUsage

_MILLION = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class Rates:
    """Money a million tokens. None is unknown, which is not zero."""

    input: Decimal | None = None
    output: Decimal | None = None
    cached_input: Decimal | None = None
    cache_write: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Prices:
    """Money a million tokens, in `currency`. None is unknown, which is not zero.

    `cached_input` and `cache_write` None: tokens read from the provider's cache, or put there,
    cost what others do. `reasoning` None: thoughts cost what other output does. `request` is paid
    once a call. From a prompt of `long_from` tokens on,
    everything costs `long`. Of an embedder only `input` counts. `as_of` is the day on which the
    figures were read, None where the operator gave them.
    """

    input: Decimal | None = None
    output: Decimal | None = None
    cached_input: Decimal | None = None
    currency: str = "USD"
    cache_write: Decimal | None = None
    request: Decimal = Decimal(0)
    reasoning: Decimal | None = None
    long_from: int | None = None
    long: Rates = Rates()
    as_of: date | None = None

    @property
    def known(self) -> bool:
        """Whether what a call costs can be told."""
        whole = self.input is not None and self.output is not None
        return whole and (
            self.long_from is None or (self.long.input is not None and self.long.output is not None)
        )

    def rates(self, prompt: int) -> Rates:
        """What a prompt of so many tokens is charged by."""
        if self.long_from is not None and prompt >= self.long_from:
            return self.long
        return Rates(self.input, self.output, self.cached_input, self.cache_write)


def cost_of(usage: TokenUsage, prices: Prices) -> Decimal | None:
    """Money for these tokens, exact; None where a price or a count that it needs is unknown.

    Tokens read from a cache or put there are part of `prompt`, reasoning is part of `completion`;
    each is priced apart where its price is known, and never twice.
    """
    if usage.prompt is None or usage.completion is None:
        return None
    rates = prices.rates(usage.prompt)
    if rates.input is None or rates.output is None:
        return None
    cached = min(usage.cached_prompt or 0, usage.prompt)
    cached_price = rates.input if rates.cached_input is None else rates.cached_input
    written = min(usage.cache_write or 0, usage.prompt - cached)
    write_price = rates.input if rates.cache_write is None else rates.cache_write
    thoughts = min(usage.reasoning or 0, usage.completion)
    thought_price = rates.output if prices.reasoning is None else prices.reasoning
    units = (
        (usage.prompt - cached - written) * rates.input
        + cached * cached_price
        + written * write_price
        + (usage.completion - thoughts) * rates.output
        + thoughts * thought_price
    )
    return units / _MILLION + prices.request


def most_cost(prompt: int, output: int, prices: Prices) -> Decimal | None:
    """The most that a call with so many tokens at most can cost; None where that is unknown.

    Providers that charge for putting a prompt into their cache may do so with all of it, so the
    dearest way of reading counts; and the dearer of answer and thoughts.
    """
    if not prices.known:
        return None
    most = _dearest(prompt, output, prices.rates(0), prices.reasoning)
    if prices.long_from is not None and prompt >= prices.long_from:
        most = max(most, _dearest(prompt, output, prices.long, prices.reasoning))
    return most / _MILLION + prices.request


def _dearest(prompt: int, output: int, rates: Rates, reasoning: Decimal | None) -> Decimal:
    ways = (rates.input, rates.cached_input, rates.cache_write)
    reading = max(way or Decimal(0) for way in ways)
    writing = max(rates.output or Decimal(0), reasoning or Decimal(0))
    return prompt * reading + output * writing
