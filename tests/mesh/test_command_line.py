"""The commands as a script uses them: what they print, and what their exit codes mean."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mesh.server_process import PROGRAM, ServerProcess

FERRY = "# Ferry\n\nThe ferry to Amrum leaves at 9:40 every morning. Dogs travel free of charge.\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("server")) as started:
        yield started


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("documents")
    (folder / "ferry.md").write_text(FERRY)
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7\nnothing of a PDF\n")
    return folder


def alone(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command without a server."""
    return subprocess.run(
        [PROGRAM, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_ingest_says_what_was_rejected_and_skips_what_is_known(
    server: ServerProcess, folder: Path
) -> None:
    first = server.run("ingest", str(folder), "-c", "docs")
    assert first.returncode == 7
    assert "1 ingested, 0 unchanged, 1 rejected" in first.stdout
    assert "broken.pdf: broken" in first.stdout
    second = server.run("ingest", str(folder / "*.md"), "-c", "docs", "--output", "json")
    assert second.returncode == 0
    told = json.loads(second.stdout)
    assert (told["ingested"], told["unchanged"], told["rejected"]) == (0, 1, [])


def test_ask_answers_with_sources_or_says_that_it_can_not(
    server: ServerProcess, folder: Path
) -> None:
    server.run("ingest", str(folder / "ferry.md"), "-c", "docs")
    answered = server.run("ask", "When does the ferry to Amrum leave?", "-c", "docs")
    assert answered.returncode == 0
    assert "leaves at 9:40 every morning.¹" in answered.stdout
    assert "ferry.md" in answered.stdout
    question = "Who won the chess championship in Oslo?"
    refused = server.run("ask", question, "-c", "docs", "-o", "json")
    assert refused.returncode == 8
    assert json.loads(refused.stdout)["refused"] is True


def test_search_prints_passages_and_where_scores_come_from(
    server: ServerProcess, folder: Path
) -> None:
    server.run("ingest", str(folder / "ferry.md"), "-c", "docs")
    shown = server.run("search", "dogs on the ferry", "-c", "docs", "--explain")
    assert shown.returncode == 0
    assert "Dogs travel free" in " ".join(shown.stdout.split())
    assert "bm25" in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("search", "x", "-c", "nowhere"), 6),
        (("ask", "x", "-c", "Not A Name"), 2),
        (("ingest", "/no/such/folder"), 2),
    ],
)
def test_what_is_wrong_is_told_by_message_and_code(
    server: ServerProcess, arguments: tuple[str, ...], code: int
) -> None:
    ended = server.run(*arguments)
    assert ended.returncode == code
    assert ended.stderr.startswith("colonnade: ")
    assert "Traceback" not in ended.stderr


def test_no_server_is_told_with_the_command_that_starts_one() -> None:
    ended = alone("ask", "x", COLONNADE_ADDRESS="127.0.0.1:9")
    assert ended.returncode == 4
    assert "colonnade serve" in ended.stderr


def test_keys_are_made_listed_and_revoked(tmp_path: Path) -> None:
    settings = tmp_path / "colonnade.toml"
    settings.write_text(f'data_dir = "{tmp_path / "data"}"\n')
    config = ("--config", str(settings))
    made = json.loads(alone("keys", "create", "--scope", "chat.read", "-o", "json", *config).stdout)
    listed = alone("keys", "list", *config).stdout
    assert made["id"] in listed
    assert "chat.read" in listed
    assert made["secret"] not in listed
    assert alone("keys", "revoke", made["id"], *config).returncode == 0
    assert "revoked" in alone("keys", "list", *config).stdout
    assert alone("keys", "revoke", "key_none", *config).returncode == 6
    assert alone("keys", "create", "--scope", "chat.everything", *config).returncode == 2


def test_settings_are_checked_and_shown_without_a_secret(tmp_path: Path) -> None:
    settings = tmp_path / "colonnade.toml"
    settings.write_text('[server]\nadress = "127.0.0.1:1"\n')
    wrong = alone("config", "check", "--config", str(settings))
    assert wrong.returncode == 3
    assert "server.adress: unknown key" in wrong.stderr
    settings.write_text(
        '[deployments.big]\nadapter = "openai"\nmodel = "m"\nbase_url = "http://localhost/v1"\n'
        'api_key = { env = "THE_KEY" }\n'
    )
    shown = alone("config", "show", "--config", str(settings), THE_KEY="sk-very-secret")
    assert shown.returncode == 0
    assert "THE_KEY" in shown.stdout
    assert "sk-very-secret" not in shown.stdout


def test_doctor_finds_this_machine_fit(tmp_path: Path) -> None:
    settings = tmp_path / "colonnade.toml"
    settings.write_text(f'data_dir = "{tmp_path / "data"}"\n')
    arguments = ("doctor", "-o", "json", "--address", "127.0.0.1:0", "--config", str(settings))
    ended = alone(*arguments)
    assert ended.returncode == 0, ended.stdout
    findings = {each["subject"]: each["standing"] for each in json.loads(ended.stdout)}
    assert findings["embedder minilm"] == findings["deployment smollm2"] == "ok"


def test_version_and_help_are_there() -> None:
    assert "colonnade.v1" in alone("version").stdout
    assert "ingest" in alone("--help").stdout
