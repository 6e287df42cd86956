"""What is limited: money in a window of time, for whoever the rule covers."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from urllib.parse import quote, unquote

from core.identifiers import TenantId


class Period(Enum):
    """How long a window is. A rolling month has 30 days."""

    MINUTE = "minute"
    DAY = "day"
    MONTH = "month"


class Subject(Enum):
    """What spending is told apart by."""

    TENANT = "tenant"
    USER = "user"
    FEATURE = "feature"
    MODEL = "model"
    KEY = "key"


@dataclass(frozen=True, slots=True)
class Spender:
    """On whose behalf, for what, through which API key, with which deployment is spent."""

    tenant: str
    user: str = ""
    feature: str = ""
    model: str = ""
    key: str = ""

    def value(self, subject: Subject) -> str:
        """This subject's value."""
        values = {
            Subject.TENANT: self.tenant,
            Subject.USER: self.user,
            Subject.FEATURE: self.feature,
            Subject.MODEL: self.model,
            Subject.KEY: self.key,
        }
        return values[subject]


@dataclass(frozen=True, slots=True)
class BudgetRule:
    """A limit of money in a window.

    `only` names whom it covers, all of it, and nothing covers everybody. `each` makes it a
    budget for each of these apart: with {TENANT, USER}, every user has one of his own (a user's
    name means something within its tenant only). A `hard` rule refuses what might exceed it; a
    soft one only tells. Windows begin with the calendar's (UTC), or roll. `thresholds` are
    shares of the limit whose crossing is told.
    """

    name: str
    limit: Decimal
    period: Period
    rolling: bool = False
    hard: bool = True
    currency: str = "USD"
    only: tuple[tuple[Subject, str], ...] = ()
    each: frozenset[Subject] = frozenset()
    thresholds: tuple[Decimal, ...] = (Decimal("0.5"), Decimal("0.8"), Decimal(1))

    def covers(self, spender: Spender) -> bool:
        """Whether this spender's money counts here."""
        return all(spender.value(subject) == value for subject, value in self.only)

    def account(self, spender: Spender) -> AccountKey:
        """Which of the rule's budgets is the spender's."""
        ordered = sorted(self.each, key=lambda subject: subject.value)
        return AccountKey(self.name, tuple((s, spender.value(s)) for s in ordered))

    def tenant(self, key: AccountKey) -> TenantId:
        """Whose row this account is; "" where it is not one tenant's."""
        named = {**dict(self.only), **dict(key.whose)}
        return TenantId(named.get(Subject.TENANT, ""))

    @property
    def window(self) -> str:
        """The window in words: `month`, `rolling month`."""
        return f"rolling {self.period.value}" if self.rolling else self.period.value


@dataclass(frozen=True, slots=True)
class AccountKey:
    """One budget of a rule."""

    rule: str
    whose: tuple[tuple[Subject, str], ...] = ()

    @property
    def id(self) -> str:
        """Its name in the store and in lists: `daily`, `each-user?tenant=acme&user=ann`."""
        told = "&".join(f"{subject.value}={quote(value, safe='')}" for subject, value in self.whose)
        return f"{self.rule}?{told}" if told else self.rule

    @classmethod
    def of(cls, id: str) -> AccountKey:
        """The key with this id. ValueError where there is none."""
        rule, _, told = id.partition("?")
        pairs = [part.partition("=") for part in told.split("&") if part]
        return cls(rule, tuple((Subject(name), unquote(value)) for name, _, value in pairs))

    def __str__(self) -> str:
        told = ", ".join(f"{subject.value} {value}" for subject, value in self.whose)
        return f"{self.rule} ({told})" if told else self.rule
