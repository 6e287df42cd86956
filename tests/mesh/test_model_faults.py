"""`colonnade models test` against providers of which each has something else wrong with it."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from colonnaded.cli import model_test
from colonnaded.cli.model_cures import cure
from fakes.provider_formats import Propose, Say
from fakes.provider_server import Asked, Fault, Plan, ProviderServer, Refusal
from mesh.server_process import ServerProcess

RECORDINGS = Path(__file__).parents[1] / "adapters" / "recordings"
CERTIFICATE, CERTIFICATE_KEY = RECORDINGS / "loopback.pem", RECORDINGS / "loopback.key"
NO_MODEL = {"error": {"message": "The model `m` does not exist", "code": "model_not_found"}}
PLANS = {
    "key": Plan(refusal=Refusal(401)),
    "no-model": Plan(refusal=Refusal(404, body=json.dumps(NO_MODEL))),
    "silent": Plan(first=60.0),
    "limited": Plan(refusal=Refusal(429, {"Retry-After": "0"})),
    "failing": Plan(refusal=Refusal(500)),
    "cuts-streams": Plan.of("a", "b", fault=Fault.CUT, after=1),
}
"""What providers do that have nothing but this wrong with them, by their deployment."""
CAN = ["seed", "stop", "json_schema", "tools", "logprobs", "reasoning"]


def able(asked: Asked) -> Plan:
    """One that does what it is asked to."""
    if asked.body.get("tools"):
        return Plan((Propose("c1", "weather", ('{"city": "Bern"}',)),))
    if asked.body.get("response_format"):
        return Plan((Say('{"ok": true}'),))
    return Plan()


def plan(asked: Asked) -> Plan:
    model = asked.body["model"]
    if model == "cuts-streams" and not asked.body.get("stream"):
        return Plan()
    return able(asked) if model == "able" else PLANS.get(model, Plan())


def settings(server: ProviderServer, tls: str, page: str) -> str:
    def table(name: str, url: str, more: str = "") -> str:
        return (
            f'[deployments.{name}]\nadapter = "openai"\nmodel = "{name}"\nbase_url = "{url}"\n'
            f"prices = {{ input = 1, output = 2 }}\n{more}\n"
        )

    url = server.url("chat")
    tables = [
        *(table(name, url, "attempt_seconds = 0.7") for name in PLANS),
        table("able", url, f"capabilities = {json.dumps([c for c in CAN if c != 'logprobs'])}"),
        table("unable", url, f"capabilities = {json.dumps(CAN)}"),
        table("no-path", f"{url}/elsewhere"),
        table("no-server", "http://127.0.0.1:9/v1"),
        table("no-host", "http://models.invalid/v1"),
        table("no-trust", f"https://{tls}"),
        table("no-tls", f"http://{tls}"),
        table("no-format", f"http://{page}"),
        '[retries]\nrounds = 1\n[mesh]\ntargets = ["models"]\n',
    ]
    return "".join(tables)


EXPECTED = {
    "key": "the key is refused: look at api_key",
    "no-model": "it has no such model: look at model (the provider refused (HTTP 404): The model",
    "no-path": "there is nothing at that path: look at base_url",
    "no-server": "nobody answers there: look at the address in base_url",
    "no-host": "nobody knows that host: look at the address in base_url",
    "no-trust": "TLS fails: look at ca_file",
    "no-tls": "it hangs up: look at https or http in base_url",
    "no-format": "does not speak this format: look at adapter",
    "silent": "it does not answer in time: look at base_url, and whether the model is loaded",
    "limited": "it has reached its rate",
    "failing": "it says that it is overloaded, or fails",
    "cuts-streams": "whole answers came: look at what lies between",
    "unable": "keeps to a JSON schema: it said 'Hello.', which is no JSON; take the capability",
}


@asynccontextmanager
async def elsewhere() -> AsyncIterator[tuple[str, str]]:
    """The addresses of a server with a certificate of its own, and of one that serves a page."""

    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<html>It works!</html>", content_type="text/html")

    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(CERTIFICATE, CERTIFICATE_KEY)
    application = web.Application()
    application.router.add_post("/{any:.*}", page)
    runner = web.AppRunner(application, shutdown_timeout=0)
    await runner.setup()
    for context in (tls, None):
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        yield f"127.0.0.1:{runner.addresses[0][1]}", f"127.0.0.1:{runner.addresses[1][1]}"
    finally:
        await runner.cleanup()


async def test_what_is_wrong_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told: dict[str, str] = {}

    def try_all(server: ServerProcess) -> None:
        with server, server.client() as client:
            for name in (*EXPECTED, "able"):
                sound = model_test.tested(client, name, 10.0)
                told[name] = " ".join(capsys.readouterr().out.split())
                assert sound is (name == "able"), told[name]

    async with ProviderServer(plan) as providers, elsewhere() as (tls, page):
        server = ServerProcess(tmp_path, settings(providers, tls, page))
        await asyncio.to_thread(try_all, server)
    assert {name: words for name, words in EXPECTED.items() if words not in told[name]} == {}, told
    for line in ("streams", "calls a tool", "keeps to a JSON schema", "takes a seed"):
        assert f"✓ {line}" in told["able"]
    assert "✗ gives log-probabilities: it gave none" in told["unable"]


def test_words_of_the_provider_stand_behind_ours() -> None:
    assert cure("bad_request", "the provider refused (HTTP 400): seed: unknown field") == (
        "it refuses the request; what it says tells what it does not take "
        "(the provider refused (HTTP 400): seed: unknown field)"
    )
    assert cure("something_new", "") == "something_new"
