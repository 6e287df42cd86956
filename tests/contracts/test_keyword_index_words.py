"""Which words every keyword index finds, and that any text is a question."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from contracts.keyword_indexes import HANDBOOK, IMPLEMENTATIONS, change, chunk, found
from core.ports.indexes import KeywordIndex

SAMPLES = {
    "en": "The certificates expired while the gateways were restarting.",
    "zh": "证书在网关重启时已经过期。",
    "ja": "ゲートウェイの再起動中に証明書の期限が切れました。",
    "ko": "게이트웨이를 재시작하는 동안 인증서가 만료되었습니다.",
    "de": "Das Zertifikat lief ab, während das Gateway neu startete.",
    "id": "Set max_output_tokens; RESOURCE_EXHAUSTED means: wait. See TurnLogExpired.",
    "cli": "Use kill -9 only if --output json (v1.10.2) printed E1234.",
}


@pytest.fixture(params=IMPLEMENTATIONS, ids=str)
async def index(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[KeywordIndex]:
    opened: KeywordIndex = request.param.open(tmp_path / "index")
    yield opened
    await opened.close()


@pytest.fixture
async def samples(index: KeywordIndex) -> KeywordIndex:
    await index.apply(HANDBOOK, [change(1, *(chunk(n, t) for n, t in SAMPLES.items()))])
    return index


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("CERTIFICATE expires restart", "en id"),
        ("证书过期", "zh ja"),
        ("期", "zh ja"),
        ("証明書", "ja"),
        ("인증서", "ko"),
        ("wahrend zertifikat", "de"),
        ("max_output_tokens", "id cli"),
        ("output tokens", "id cli"),
        ("resource exhausted", "id"),
        ("turn log expired", "id en"),
        ("TurnLogExpired", "id en"),
        ("kill -9", "cli"),
        ("-9", "cli"),
        ("--output", "cli id"),
        ("1.10.2 10.2", "cli"),
        ("e1234", "cli"),
    ],
)
async def test_words_are_found_as_people_write_them(
    samples: KeywordIndex, query: str, expected: str
) -> None:
    hits = await found(samples, query)
    assert hits[0] == expected.split(maxsplit=1)[0]
    assert set(hits) == set(expected.split())


@pytest.mark.parametrize(
    "query",
    [
        "",
        "   \n\t\0",
        "😀 🚒",
        "… ?! ---",
        "\ud800 \udfff",
        '"unclosed (AND OR NOT id:* terms:[a TO z] ^7 ~8 \\',
        "x" * 100_000,
        "长" * 100_000,
        " ".join(f"word{number}" for number in range(20_000)),
        "a_" * 50_000,
        "-" * 100_000,
        "'" * 100_000,
    ],
    ids=lambda query: f"{query[:10]!r}x{len(query)}",
)
async def test_any_text_is_a_query(samples: KeywordIndex, query: str) -> None:
    assert await found(samples, query) == []


async def test_query_syntax_is_only_text(samples: KeywordIndex) -> None:
    assert await found(samples, "-certificates") == ["en"]
    assert await found(samples, "id:zh AND certificates~0") == ["en"]
    assert await found(samples, "cert*") == []


async def test_a_question_of_function_words_alone_finds_them(samples: KeywordIndex) -> None:
    assert "en" in await found(samples, "the")
    assert await found(samples, "the gateways") == ["en", "de"]


async def test_any_text_can_be_indexed(index: KeywordIndex) -> None:
    texts = ["", "😀", "\ud800valve\udfff", "\0valve\0", "x" * 200_000, "valve " * 30_000]
    chunks = [chunk(f"c{number}", text) for number, text in enumerate(texts)]
    await index.apply(HANDBOOK, [change(1, *chunks)])
    assert set(await found(index, "valve")) == {"c2", "c3", "c5"}
    assert await found(index, "x" * 300_000) == ["c4"]
