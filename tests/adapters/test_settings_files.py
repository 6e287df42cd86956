"""Settings in several files: one that is started with, and those that it includes."""

from __future__ import annotations

from pathlib import Path

import pytest

from colonnaded.settings import SettingsError, load_settings

MAIN = 'include = ["models.toml", "more/money.toml"]\n[turns]\nmax_running = 7\n'
MODELS = '[deployments.quotes]\nadapter = "extractive"\n[routes.cheap]\ncandidates = ["quotes"]\n'
MONEY = "[budgets.all]\nlimit = 5\n[turns]\nmax_seconds = 30\n"


def written(folder: Path, **files: str) -> Path:
    (folder / "more").mkdir()
    for name, text in {"main": MAIN, "models": MODELS, "more/money": MONEY, **files}.items():
        (folder / f"{name}.toml").write_text(text)
    return folder / "main.toml"


def problem(file: Path) -> str:
    with pytest.raises(SettingsError) as error:
        load_settings(file)
    return str(error.value)


def test_the_tables_of_all_are_one(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path))
    assert list(settings.deployments) == ["quotes"]
    assert list(settings.routes) == ["cheap"]
    assert settings.budgets["all"].limit == 5
    assert (settings.turns.max_running, settings.turns.max_seconds) == (7, 30.0)


def test_what_stands_twice_is_refused_with_its_place(tmp_path: Path) -> None:
    said = problem(written(tmp_path, models="[turns]\nmax_running = 9\n"))
    assert "models.toml" in said
    assert "turns.max_running: stands in another file" in said


def test_a_file_that_is_missing_or_includes_others_is_refused(tmp_path: Path) -> None:
    file = written(tmp_path, models='include = ["main.toml"]\n')
    assert "only the settings file itself" in problem(file)
    (tmp_path / "models.toml").unlink()
    assert "models.toml" in problem(file)
    file.write_text("include = 3")
    assert "include: must be a list of paths" in problem(file)
