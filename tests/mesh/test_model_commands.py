"""The commands of models against a real server: what they print, and what their codes mean."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mesh.server_process import ServerProcess

SETTINGS = """
[deployments.smollm2]
adapter = "llamacpp"
tier = "tiny"
max_output_tokens = 128
languages = ["en"]
residency = "local"
capabilities = ["stop", "seed"]
prices = { input = "0", output = "0" }

[deployments.gone]
adapter = "openai"
model = "large-model"
base_url = "http://127.0.0.1:9/v1"
tier = "strong"
prices = { input = "3", output = "15" }

[routes.cheap]
candidates = ["smollm2", "gone"]
strategy = "lowest_cost"

[retries]
rounds = 1
"""
PUBLIC = {
    "gpt-x": {"litellm_provider": "openai", "input_cost_per_token": 1e-06},
    "painter": {"litellm_provider": "openai", "mode": "image_generation"},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("server"), settings=SETTINGS) as started:
        yield started


def test_the_list_has_deployments_embedders_and_routes(server: ServerProcess) -> None:
    told = json.loads(server.run("models", "list", "--output", "json").stdout)
    assert {model["name"] for model in told["models"]} >= {"smollm2", "gone", "minilm"}
    assert told["routes"] == [{"name": "cheap", "models": ["smollm2", "gone"]}]
    assert "route cheap: smollm2, gone" in server.run("models", "list").stdout


def test_prices_are_told_and_unknown_ones_are_not_zero(server: ServerProcess) -> None:
    told = json.loads(server.run("models", "price", "--output", "json").stdout)
    prices = {each["name"]: (each["input"], each["cached_input"]) for each in told}
    assert prices["gone"] == ("3 USD", None)
    assert prices["smollm2"] == ("0 USD", None)


def test_a_choice_is_explained_and_nobody_is_called(server: ServerProcess) -> None:
    plain = server.run("models", "explain", "Summarise this", "--max-cost", "0.001")
    assert plain.returncode == 0
    assert "1. smollm2" in plain.stdout
    assert "gone: too_expensive" in plain.stdout
    told = json.loads(
        server.run("models", "explain", "Hi", "--model", "cheap", "--output", "json").stdout
    )
    assert (told["strategy"], told["candidates"][0]["model"]) == ("lowest_cost", "smollm2")
    assert server.run("models", "explain", "Hi", "--model", "nobody").returncode == 6


def test_a_sound_deployment_answers_and_shows_what_it_can(server: ServerProcess) -> None:
    tried = server.run("models", "test", "smollm2")
    assert tried.returncode == 0, tried.stdout
    assert "✓ answers" in tried.stdout
    assert "✓ streams" in tried.stdout
    assert "✓ takes a seed" in tried.stdout
    health = json.loads(server.run("models", "health", "--output", "json").stdout)
    states = {each["name"]: each for each in health}
    assert states["smollm2"]["state"] == "STATE_UP"
    assert "first_token" in states["smollm2"]


def test_what_is_wrong_with_one_is_said(server: ServerProcess) -> None:
    tried = server.run("models", "test", "gone")
    assert tried.returncode == 1
    assert "look at the address in base_url" in " ".join(tried.stdout.split())
    assert server.run("models", "test", "nobody").returncode == 1


def test_public_prices_are_imported(server: ServerProcess, tmp_path: Path) -> None:
    file = tmp_path / "public.json"
    file.write_text(json.dumps(PUBLIC), encoding="utf-8")
    config = tmp_path / "colonnade.toml"
    config.write_text(f'data_dir = "{tmp_path / "data"}"\n', encoding="utf-8")
    options = ("--as-of", "2027-01-02", "--config", str(config))
    done = server.run("models", "prices", "import", str(file), *options)
    assert done.returncode == 0, done.stderr
    assert "1 models read, 1 passed over" in done.stdout
    written = (tmp_path / "data" / "prices.toml").read_text(encoding="utf-8")
    assert 'input = "1"' in written
    assert "as_of = 2027-01-02" in written
    file.write_text("[]", encoding="utf-8")
    assert server.run("models", "prices", "import", str(file), *options).returncode == 2
