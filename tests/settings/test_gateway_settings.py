"""The gateway's tables of the settings: what they mean, and what is refused by name."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from colonnaded.gateway_policies import (
    IMPORTED,
    budget_rules,
    deployment_of,
    price_table,
    resilience_policy,
    route_of,
    routing_policy,
)
from colonnaded.policies import turn_timings
from colonnaded.price_import import imported
from colonnaded.settings import Settings, SettingsError, load_settings
from core.budgets.rules import Period, Spender, Subject
from core.catalog import FallbackCause, Strategy
from core.identifiers import DeploymentName, Seconds
from core.price_table import PriceTable
from core.routing import TaskClass

FILE = """
[deployments.large]
adapter = "openai"
model = "gpt-4o"
base_url = "https://api.openai.com/v1"
tier = "strong"
labels = ["no-training"]
takes_prefix = true
concurrent = 4
requests_per_minute = 60
silence_seconds = 20

[deployments.own]
adapter = "openai"
model = "gpt-4o"
base_url = "https://models.example.com/v1"

[deployments.priced]
adapter = "openai"
model = "gpt-4o"
base_url = "https://api.openai.com/v1"
context_window = 8000
prices = { input = "1", output = "2", request = "0.001" }

[routes.default]
candidates = ["large", "own"]

[routes.cheap]
candidates = ["own", "large"]
strategy = "weighted"
weights = { own = 3 }
canary = "large"
canary_share = 0.1
on_context_window = ["priced"]

[turns]
gap_seconds = 0.004
tick_seconds = 0.05

[routing]
tasks = { summarisation = "cheap" }

[retries]
rounds = 2

[hedging]
enabled = true

[budgets.user]
limit = "2.50"
period = "day"
each = ["tenant", "user"]
feature = "chat"
"""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    file = tmp_path / "colonnade.toml"
    file.write_text(FILE, encoding="utf-8")
    monkeypatch.setenv("COLONNADE_DATA_DIR", str(tmp_path / "data"))
    return load_settings(file)


def test_routes_and_tasks(settings: Settings) -> None:
    policy = routing_policy(settings)
    assert policy.routes[TaskClass.CHAT] == "default"
    assert policy.routes[TaskClass.SUMMARISATION] == "cheap"
    assert TaskClass.EMBEDDING not in policy.routes
    way = route_of("cheap", settings.routes["cheap"])
    assert way.strategy is Strategy.WEIGHTED
    assert way.weights == {"own": 3}
    assert way.canary is not None
    assert (way.canary.deployment, way.canary.share) == ("large", 0.1)
    assert way.fallbacks == {FallbackCause.CONTEXT_WINDOW: (DeploymentName("priced"),)}


def test_resilience(settings: Settings) -> None:
    policy = resilience_policy(settings)
    assert (policy.retry.rounds, policy.hedge.enabled, policy.breaker.in_a_row) == (2, True, 5)
    assert policy.gather == 0.02


def test_turns(settings: Settings) -> None:
    timings = turn_timings(settings)
    assert (timings.gap, timings.tick, timings.linger) == (0.004, 0.05, 0.25)


def test_budgets(settings: Settings) -> None:
    (rule,) = budget_rules(settings)
    assert (rule.name, rule.limit, rule.period) == ("user", Decimal("2.50"), Period.DAY)
    assert rule.each == {Subject.TENANT, Subject.USER}
    assert rule.covers(Spender("acme", "ann", "chat"))
    assert not rule.covers(Spender("acme", "ann", "search"))


class TestPrices:
    def test_a_known_model_at_its_own_provider_has_those_of_the_table(
        self, settings: Settings
    ) -> None:
        large = deployment_of("large", settings.deployments["large"], price_table(settings))
        assert large.prices.known
        assert large.prices.as_of is not None
        assert large.context_window > 100_000
        assert (large.limits.concurrent, large.limits.first_token) == (4, Seconds(20))
        assert (large.takes_prefix, large.labels) == (True, frozenset({"no-training"}))

    def test_who_only_speaks_a_providers_format_does_not_have_its_prices(
        self, settings: Settings
    ) -> None:
        own = deployment_of("own", settings.deployments["own"], price_table(settings))
        assert not own.prices.known
        assert own.context_window == 4096

    def test_the_operators_go_before_all(self, settings: Settings) -> None:
        entry = settings.deployments["priced"]
        priced = deployment_of("priced", entry, price_table(settings))
        assert (priced.prices.input, priced.prices.request) == (Decimal(1), Decimal("0.001"))
        assert priced.context_window == 8000
        unknown = deployment_of("large", settings.deployments["large"], PriceTable())
        assert not unknown.prices.known

    def test_imported_ones_go_before_the_shipped(self, settings: Settings, tmp_path: Path) -> None:
        public = tmp_path / "public.json"
        entry = {"litellm_provider": "openai", "input_cost_per_token": 1e-06}
        entry["output_cost_per_token"] = 2e-06
        public.write_text(json.dumps({"gpt-4o": entry, "x": {}}), encoding="utf-8")
        found = imported(public, date(2027, 1, 2), settings.data_dir)
        assert found == (1, 1, settings.data_dir / IMPORTED)
        known = price_table(settings).find("openai", "gpt-4o")
        assert known is not None
        assert (known.prices.input, known.prices.as_of) == (Decimal(1), date(2027, 1, 2))

    @pytest.mark.parametrize("content", ["[]", "{}", "not json"])
    def test_what_is_no_such_table_changes_nothing(
        self, settings: Settings, tmp_path: Path, content: str
    ) -> None:
        public = tmp_path / "public.json"
        public.write_text(content, encoding="utf-8")
        with pytest.raises(ValueError, match=r".+"):
            imported(public, date(2027, 1, 2), settings.data_dir)
        assert not (settings.data_dir / IMPORTED).exists()

    def test_a_broken_file_is_named(self, settings: Settings) -> None:
        settings.data_dir.mkdir()
        (settings.data_dir / IMPORTED).write_text('[[models]]\nmodel = "m"\n', encoding="utf-8")
        with pytest.raises(SettingsError, match=r"prices\.toml") as wrong:
            price_table(settings)
        assert any("models.0.provider" in problem for problem in wrong.value.problems)


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ('[routes.way]\ncandidates = ["gone"]', "routes.way.candidates: no deployment 'gone'"),
        (
            '[routes.way]\ncandidates = ["extractive"]\non_rate = ["gone"]',
            "routes.way.on_rate: no deployment 'gone'",
        ),
        (
            '[routes.way]\ncandidates = ["extractive"]\ncanary = "smollm2"',
            "routes.way: canary must be one of the candidates",
        ),
        ('[routing]\ntasks = { chat = "gone" }', "routing.tasks.chat: no route 'gone'"),
        ('[routes.way]\ncandidates = ["extractive"]\nstrategy = "best"', "routes.way.strategy"),
        ('[budgets.b]\nlimit = "0"', "budgets.b.limit"),
        ('[budgets.b]\nlimit = "1"\nperiod = "week"', "budgets.b.period"),
    ],
)
def test_what_is_wrong_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: str, problem: str
) -> None:
    file = tmp_path / "colonnade.toml"
    file.write_text(lines, encoding="utf-8")
    with pytest.raises(SettingsError) as wrong:
        load_settings(file)
    assert any(told.startswith(problem) for told in wrong.value.problems), wrong.value.problems
