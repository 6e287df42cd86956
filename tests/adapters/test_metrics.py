"""What a scrape of /metrics shows, and to whom."""

from __future__ import annotations

import asyncio
import http.client
import socket
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import pytest

from adapters.telemetry.metrics import Metrics
from adapters.telemetry.metrics_page import MetricsPage
from core.call import CallFacts
from core.generation import TokenUsage
from core.identifiers import CallId, DeploymentName, Seconds, TenantId, UserId
from core.ports.cache_observer import LookUp
from core.ports.gateway_observer import AttemptEnded
from core.ports.telemetry import CallLine, Measures
from core.ports.turn_observer import TakeOver
from core.prices import Prices
from fakes.language_model import a_deployment

CHAT = "colonnade.v1.ChatService.Chat"


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def page(metrics: Metrics) -> Iterator[MetricsPage]:
    opened = MetricsPage(metrics.registry, "127.0.0.1", 0)
    yield opened
    opened.close()


def get(page: MetricsPage, path: str = "/metrics", method: str = "GET") -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", page.port, timeout=10)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def samples(page: MetricsPage) -> dict[str, float]:
    """Every sample by its name with labels."""
    lines = [line for line in get(page)[1].splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def line(status: str = "OK", latency_ms: float = 40.0, first_ms: float | None = 4.0) -> CallLine:
    return CallLine(
        method=CHAT,
        call_id=CallId("call_1"),
        tenant=TenantId("secret-tenant"),
        user=UserId("secret-user"),
        status=status,
        reason="",
        latency_ms=latency_ms,
        first_message_ms=first_ms,
        messages=1,
        facts=CallFacts(),
    )


def test_calls_by_method_and_status_with_their_latency(metrics: Metrics, page: MetricsPage) -> None:
    metrics.call_ended(line())
    metrics.call_ended(line("UNAVAILABLE", 2_000.0, None))
    shown = samples(page)
    assert shown[f'colonnade_calls_total{{method="{CHAT}",status="OK"}}'] == 1
    assert shown[f'colonnade_calls_total{{method="{CHAT}",status="UNAVAILABLE"}}'] == 1
    assert shown[f'colonnade_call_seconds_sum{{method="{CHAT}"}}'] == pytest.approx(2.04)
    assert shown[f'colonnade_call_seconds_bucket{{le="0.05",method="{CHAT}"}}'] == 1
    assert shown[f'colonnade_call_first_message_seconds_count{{method="{CHAT}"}}'] == 1


def test_the_turn_protocol(metrics: Metrics, page: MetricsPage) -> None:
    metrics.committed(Seconds(0.004), runs=32, events=96)
    metrics.took_over(TakeOver.LEASE)
    metrics.lease_age(Seconds(1.5))
    metrics.held_back(4096)
    metrics.reader_lagged()
    metrics.watch_running(lambda: 7)
    shown = samples(page)
    assert shown["colonnade_commit_seconds_count"] == 1
    assert shown['colonnade_commit_seconds_bucket{le="0.005"}'] == 1
    assert shown["colonnade_commit_runs_sum"] == 32
    assert shown["colonnade_commit_events_sum"] == 96
    assert shown['colonnade_take_overs_total{why="lease"}'] == 1
    assert shown['colonnade_take_overs_total{why="deadline"}'] == 0
    assert 1.5 <= shown["colonnade_lease_age_seconds"] < 60
    assert shown["colonnade_held_back_bytes"] == 4096
    assert shown["colonnade_readers_lagged_total"] == 1
    assert shown["colonnade_running_turns"] == 7


def test_a_lease_that_nobody_reports_on_grows_and_none_is_0(
    metrics: Metrics, page: MetricsPage
) -> None:
    assert samples(page)["colonnade_lease_age_seconds"] == 0
    metrics.lease_age(Seconds(1.5))
    first = samples(page)["colonnade_lease_age_seconds"]
    assert samples(page)["colonnade_lease_age_seconds"] > first
    metrics.lease_age(Seconds(0.0))
    assert samples(page)["colonnade_lease_age_seconds"] == 0


def test_what_the_shared_caches_did(metrics: Metrics, page: MetricsPage) -> None:
    metrics.cache_looked_up("answer", LookUp.HIT, 2)
    metrics.cache_looked_up("vector", LookUp.AWAY, 3)
    metrics.cache_dropped("vector", 4)
    shown = samples(page)
    lookups = "colonnade_shared_cache_lookups_total"
    assert shown[f'{lookups}{{kind="answer",outcome="hit"}}'] == 2
    assert shown[f'{lookups}{{kind="vector",outcome="away"}}'] == 3
    assert shown['colonnade_shared_cache_dropped_total{kind="vector"}'] == 4


def test_the_bus(metrics: Metrics, page: MetricsPage) -> None:
    assert samples(page)["colonnade_bus_connected"] == 0
    metrics.bus_connected()
    assert samples(page)["colonnade_bus_connected"] == 1
    metrics.bus_disconnected()
    metrics.budget_alert("monthly", "0.8")
    metrics.notice_dropped()
    shown = samples(page)
    assert shown["colonnade_bus_connected"] == 0
    assert shown["colonnade_bus_disconnections_total"] == 1
    assert shown['colonnade_budget_alerts_total{budget="monthly",threshold="0.8"}'] == 1
    assert shown["colonnade_notices_dropped_total"] == 1


def ended(**changes: object) -> AttemptEnded:
    prices = Prices(Decimal(2), Decimal(10), cached_input=Decimal("0.5"), currency="EUR")
    deployment = replace(a_deployment(), name=DeploymentName("big"), prices=prices)
    plain = AttemptEnded(
        deployment,
        "chat",
        "ok",
        Seconds(1.5),
        Seconds(0.3),
        TokenUsage(1_000_000, 100, 400_000, 20),
        False,
        Decimal("1.4"),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]  # a test names its fields


def test_calls_of_deployments(metrics: Metrics, page: MetricsPage) -> None:
    metrics.attempt_ended(ended())
    metrics.attempt_ended(ended(outcome="overloaded", first=None, cost=None, estimated=True))
    shown = samples(page)
    call = 'deployment="big"{},gen_ai_operation_name="chat",gen_ai_provider_name="test"'
    name = "gen_ai_client_operation_duration_seconds"
    assert shown[name + "_sum{" + call.format(',error_type=""') + "}"] == 1.5
    assert shown[name + "_count{" + call.format(',error_type="overloaded"') + "}"] == 1
    name = "gen_ai_client_operation_time_to_first_chunk_seconds"
    assert shown[name + "_count{" + call.format("") + "}"] == 1
    tokens = 'gen_ai_client_tokens_total{{deployment="big",estimated="{}",gen_ai_token_type="{}"}}'
    assert shown[tokens.format("false", "cached_input")] == 400_000
    assert shown[tokens.format("true", "input")] == 1_000_000
    assert shown['colonnade_model_cost_total{currency="EUR",deployment="big"}'] == 1.4
    assert shown['colonnade_model_cost_unknown_total{deployment="big"}'] == 1


def test_what_caches_spared(metrics: Metrics, page: MetricsPage) -> None:
    metrics.attempt_ended(ended())
    metrics.answered_without_call(Decimal("0.25"), "EUR")
    metrics.answered_without_call(None, "USD")
    shown = samples(page)
    saved = 'colonnade_model_saved_total{{by="{}",currency="EUR"}}'
    assert shown[saved.format("prompt_cache")] == pytest.approx(0.6)  # 400,000 at 2 - 0.5
    assert shown[saved.format("response_cache")] == 0.25
    assert shown["colonnade_answers_without_call_total"] == 2


def test_keys_that_rest(metrics: Metrics, page: MetricsPage) -> None:
    metrics.key_rested(DeploymentName("big"), "rate_limited")
    name = "colonnade_provider_keys_rested_total"
    assert samples(page)[f'{name}{{deployment="big",error_type="rate_limited"}}'] == 1


def test_no_label_names_a_tenant_or_a_user(metrics: Metrics, page: MetricsPage) -> None:
    metrics.call_ended(line())
    assert "secret" not in get(page)[1]


def test_the_process_itself_is_shown(page: MetricsPage) -> None:
    assert samples(page)["process_resident_memory_bytes"] > 0


@pytest.mark.parametrize("path", ["/", "/metricsx", "/metrics/", "/../metrics", "/favicon.ico"])
def test_nothing_else_is_served(page: MetricsPage, path: str) -> None:
    assert get(page, path)[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nothing_can_be_changed(page: MetricsPage, method: str) -> None:
    assert get(page, method=method)[0] == 501


def test_a_client_that_says_nothing_holds_up_nobody(page: MetricsPage) -> None:
    with socket.create_connection(("127.0.0.1", page.port)):
        assert get(page)[0] == 200


async def test_a_scrape_while_the_loop_is_busy_is_answered(
    metrics: Metrics, page: MetricsPage
) -> None:
    """And the other way round: the page needs nothing of the loop."""
    scrape = asyncio.create_task(asyncio.to_thread(get, page))
    while not scrape.done():
        metrics.call_ended(line())
        await asyncio.sleep(0)
    assert (await scrape)[0] == 200


def test_a_taken_address_is_told_with_what_to_do(metrics: Metrics, page: MetricsPage) -> None:
    with pytest.raises(OSError, match=r"metrics\.address"):
        MetricsPage(metrics.registry, "127.0.0.1", page.port)


def test_it_listens_on_ipv6_too(metrics: Metrics) -> None:
    page = MetricsPage(metrics.registry, "::1", 0)
    with socket.create_connection(("::1", page.port), timeout=5) as client:
        client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert client.recv(12).endswith(b"200")
    page.close()


def test_after_closing_nobody_listens(metrics: Metrics) -> None:
    page = MetricsPage(metrics.registry, "127.0.0.1", 0)
    port = page.port
    page.close()
    page.close()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), timeout=1)


def test_it_has_what_is_measured(metrics: Metrics) -> None:
    measures: Measures = metrics
    assert measures is metrics
