from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.models.provider_errors import http_error, read_error
from core.generation import ModelErrorKind as Kind

NOW = datetime(2026, 3, 4, tzinfo=UTC)


def body(message: str = "No.", **error: object) -> bytes:
    return json.dumps({"error": {"message": message, **error}}).encode()


@pytest.mark.parametrize(
    ("status", "said", "kind"),
    [
        (400, body(), Kind.BAD_REQUEST),
        (400, body(code="context_length_exceeded"), Kind.CONTEXT_TOO_LONG),
        (400, body("This model's maximum context length is 4096 tokens."), Kind.CONTEXT_TOO_LONG),
        (400, body(type="exceed_context_size_error", code=400), Kind.CONTEXT_TOO_LONG),
        (400, body("prompt is too long: 210000 tokens > 200000"), Kind.CONTEXT_TOO_LONG),
        (400, body(code="content_filter"), Kind.CONTENT_FILTERED),
        (400, body(code="content_policy_violation"), Kind.CONTENT_FILTERED),
        (403, body("Your input was flagged by moderation"), Kind.CONTENT_FILTERED),
        (401, body("Incorrect API key provided: sk-1234"), Kind.AUTHENTICATION),
        (402, body("Insufficient Balance"), Kind.AUTHENTICATION),
        (403, body(), Kind.AUTHENTICATION),
        (404, body("The model does not exist"), Kind.BAD_REQUEST),
        (408, b"", Kind.TIMEOUT),
        (413, b"<html>", Kind.CONTEXT_TOO_LONG),
        (422, b'{"detail": [{"msg": "field required"}]}', Kind.BAD_REQUEST),
        (429, body(code="rate_limit_exceeded"), Kind.RATE_LIMITED),
        (429, body(code="insufficient_quota"), Kind.RATE_LIMITED),
        (500, body("boom"), Kind.OVERLOADED),
        (501, b"", Kind.UNSUPPORTED),
        (502, b"<html>Bad Gateway</html>", Kind.OVERLOADED),
        (503, b"", Kind.OVERLOADED),
        (504, b"", Kind.TIMEOUT),
        (529, body(type="overloaded_error"), Kind.OVERLOADED),
        (302, b"", Kind.BAD_REQUEST),
        (400, body("Your credit balance is too low to access the API."), Kind.AUTHENTICATION),
        (400, body("API key not valid. Please pass a valid API key."), Kind.AUTHENTICATION),
        (400, body("Unknown parameter: 'timeout'."), Kind.BAD_REQUEST),
        (400, body("The input token count (9) exceeds the maximum"), Kind.CONTEXT_TOO_LONG),
        (400, body("Please reduce the length of the messages"), Kind.CONTEXT_TOO_LONG),
        (400, body(innererror={"code": "ResponsibleAIPolicyViolation"}), Kind.CONTENT_FILTERED),
    ],
    ids=lambda value: str(value)[:60],
)
def test_kinds(status: int, said: bytes, kind: Kind) -> None:
    assert http_error(status, {}, said, NOW).kind is kind


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({"type": "error", "error": {"type": "overloaded_error"}}, Kind.OVERLOADED),
        ({"type": "error", "error": {"type": "api_error"}}, Kind.OVERLOADED),
        ({"error": {"type": "timeout_error", "message": "took too long"}}, Kind.TIMEOUT),
        ({"error": {"code": 503, "status": "UNAVAILABLE"}}, Kind.OVERLOADED),
        ({"error": {"code": 504, "status": "DEADLINE_EXCEEDED"}}, Kind.TIMEOUT),
        ({"error": {"status": "RESOURCE_EXHAUSTED"}}, Kind.RATE_LIMITED),
        ({"type": "error", "code": "rate_limit_exceeded", "message": "x"}, Kind.RATE_LIMITED),
        ({"error": {"code": "server_error", "message": "x"}}, Kind.OVERLOADED),
    ],
    ids=repr,
)
def test_kinds_inside_a_stream(said: dict[str, object], kind: Kind) -> None:
    assert read_error(None, said).kind is kind


def test_the_words_of_a_provider_behind_a_provider_are_shown() -> None:
    said = {"message": "Provider returned error", "metadata": {"raw": "busy, retry shortly"}}
    error = read_error(429, {"error": said})
    assert error.message.endswith("Provider returned error: busy, retry shortly")


def test_words_about_money_are_shown() -> None:
    assert http_error(402, {}, body("Insufficient Balance"), NOW).message.endswith("Balance")


@pytest.mark.parametrize(
    ("status", "headers", "said", "seconds"),
    [
        (429, {}, body("Limit reached. Please try again in 6m0s."), 360.0),
        (429, {}, body("Please try again in 250ms."), 0.25),
        (429, {}, body("Please retry after 7 seconds."), 7.0),
        (429, {}, body("Please retry in 34.074824224s."), 34.074824224),
        (429, {}, body("Try again in 2 minutes"), 120.0),
        (429, {"retry-after": "3"}, body("Please try again in 20s."), 3.0),
        (429, {"retry-after": "0"}, body("Please try again in 20s."), 0.0),
        (429, {"x-ratelimit-reset": "9"}, body("Please try again in 20s."), 20.0),
        (429, {}, body(retry_after=2), 2.0),
        (429, {}, body(retry_after_ms=1500), 1.5),
        (429, {}, body(metadata={"headers": {"X-RateLimit-Reset": "1772584210000"}}), 1810.0),
        (
            429,
            {},
            body(
                details=[{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34s"}]
            ),
            34.0,
        ),
        (429, {}, body("The model took 20 seconds."), None),
        (503, {"x-ratelimit-reset-requests": "20"}, body("boom"), None),
        (400, {"retry-after": "20"}, body("Please try again in 20s."), None),
        (401, {"x-ratelimit-reset": "20"}, body(), None),
    ],
    ids=lambda value: str(value)[:60],
)
def test_advice_stands_in_headers_or_in_the_words(
    status: int, headers: dict[str, str], said: bytes, seconds: float | None
) -> None:
    now = datetime.fromtimestamp(1_772_582_400, UTC)
    assert http_error(status, headers, said, now).retry_after == seconds


def test_the_providers_words_are_shown_on_one_line() -> None:
    error = http_error(400, {}, body("Unsupported\nvalue:\t'developer'"), NOW)
    assert error.message == "the provider refused (HTTP 400): Unsupported value: 'developer'"


def test_words_about_credentials_are_not_shown() -> None:
    assert "sk-" not in http_error(401, {}, body("Incorrect key: sk-12**34"), NOW).message
    assert "sk-" not in read_error(None, {"error": {"message": "bad API key sk-12**"}}).message


@pytest.mark.parametrize("status", [429, 503])
def test_the_providers_advice_is_kept(status: int) -> None:
    headers = {"Retry-After": "Wed, 04 Mar 2026 00:00:05 GMT"}
    assert http_error(status, headers, b"", NOW).retry_after == 5.0


def test_without_advice_there_is_none() -> None:
    assert http_error(429, {}, b"", NOW).retry_after is None


@pytest.mark.parametrize(
    "said",
    [
        {"error": {"message": "why"}},
        {"error": "why"},
        {"message": "why", "object": "error"},
        {"detail": "why"},
        [{"error": {"message": "why"}}],
        "why",
    ],
    ids=repr,
)
def test_the_words_are_found_wherever_they_stand(said: object) -> None:
    assert read_error(400, said).message.endswith("why")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["error", "message", "code", "type", "x"]), inner)
    ),
    max_leaves=8,
)


@given(st.integers(300, 599), JSON | st.binary().map(repr), st.just({}))
def test_any_body_is_an_error_of_some_kind(
    status: int, said: object, headers: Mapping[str, str]
) -> None:
    error = http_error(status, headers, json.dumps(said).encode(), NOW)
    assert f"HTTP {status}" in error.message
