from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.resilience.retry_after import LONGEST_ADVICE, retry_advice

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
EPOCH = NOW.timestamp()


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": "Wed, 04 Mar 2026 05:06:37 GMT"}, 30.0),
        ({"Retry-After": "Wed, 04 Mar 2026 05:06:00 GMT"}, 0.0),
        ({"retry-after-ms": "250", "Retry-After": "1"}, 0.25),
        ({"X-RateLimit-Reset-Requests": "6m0s"}, 360.0),
        ({"x-ratelimit-reset-tokens": "12ms"}, 0.012),
        ({"x-ratelimit-reset-tokens": "1h2m3.5s"}, 3723.5),
        ({"x-ratelimit-reset": "20"}, 20.0),
        ({"X-RateLimit-Reset": str(int(EPOCH) + 9)}, 9.0),
        ({"X-RateLimit-Reset": str((int(EPOCH) + 9) * 1000)}, 9.0),
        ({"x-ratelimit-reset": "2026-03-04T05:06:17Z"}, 10.0),
        ({"x-ratelimit-reset-requests": "1s", "x-ratelimit-reset-tokens": "8s"}, 8.0),
        (
            {
                "x-ratelimit-reset-requests": "1s",
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-tokens": "8s",
                "x-ratelimit-remaining-tokens": "100",
            },
            1.0,
        ),
        (
            {
                "anthropic-ratelimit-requests-remaining": "0",
                "anthropic-ratelimit-requests-reset": "2026-03-04T05:06:27Z",
                "anthropic-ratelimit-tokens-remaining": "100",
                "anthropic-ratelimit-tokens-reset": "2026-03-04T05:07:07Z",
            },
            20.0,
        ),
        ({"ratelimit-reset": "4"}, 4.0),
        ({"x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-requests": "0"}, None),
        ({"Retry-After": "soon", "x-ratelimit-reset": "3"}, 3.0),
        ({}, None),
        ({"Retry-After": ""}, None),
        ({"Retry-After": "-3"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": "99999999999"}, None),
        ({"x-ratelimit-reset": "never"}, None),
        ({"x-ratelimit-reset": ""}, None),
    ],
    ids=repr,
)
def test_advice(headers: Mapping[str, str], seconds: float | None) -> None:
    assert retry_advice(headers, NOW) == (None if seconds is None else pytest.approx(seconds))


@given(
    st.dictionaries(
        st.sampled_from(["retry-after", "retry-after-ms", "x-ratelimit-reset", "x-other"]),
        st.text(max_size=40)
        | st.integers(-(10**20), 10**20).map(str)
        | st.datetimes().map(lambda when: when.strftime("%a, %d %b %Y %H:%M:%S GMT")),
    )
)
def test_whatever_a_provider_sends_is_advice_or_none(headers: dict[str, str]) -> None:
    advice = retry_advice(headers, NOW)
    assert advice is None or 0 <= advice <= LONGEST_ADVICE
