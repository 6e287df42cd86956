from __future__ import annotations

from dataclasses import replace

from core.generation import ModelErrorKind
from fakes.provider_models import ABLE, KEY, broken_answer, events_of, provider
from fakes.provider_server import Plan, Refusal


async def test_the_deployment_stands_in_the_path() -> None:
    deployment = replace(ABLE, model="our deployment/1")
    async with provider("azure", deployment=deployment, api_version="2025-01-01") as (
        model,
        server,
    ):
        await events_of(model)
    record = server.records[0]
    assert record.headers["api-key"] == KEY
    assert "Authorization" not in record.headers
    assert record.body["model"] == "our deployment/1"


async def test_a_token_of_entra_goes_in_the_keys_place() -> None:
    tokens = iter(["first-token", "second-token"])

    async def token() -> str:
        return next(tokens)

    async with provider("azure", token=token) as (model, server):
        await events_of(model)
        await events_of(model)
    sent = [record.headers["Authorization"] for record in server.records]
    assert sent == ["Bearer first-token", "Bearer second-token"]
    assert all("api-key" not in record.headers for record in server.records)


async def test_a_token_is_nowhere_in_an_error() -> None:
    async def token() -> str:
        return "a-secret-token"

    refusal = Refusal(400, message="what is a-secret-token?")
    async with provider("azure", Plan(refusal=refusal), token=token) as (model, _):
        _, error = await broken_answer(model)
    assert "a-secret-token" not in error.message


async def test_azures_own_filter_is_told() -> None:
    said = (
        '{"error": {"message": "The response was filtered", "code": "content_filter", "status": '
        '400, "innererror": {"code": "ResponsibleAIPolicyViolation"}}}'
    )
    async with provider("azure", Plan(refusal=Refusal(400, body=said))) as (model, _):
        assert (await broken_answer(model))[1].kind is ModelErrorKind.CONTENT_FILTERED
