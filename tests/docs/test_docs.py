"""The documentation itself: accepted answers, links, settings, commands."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin

import pytest
import typer
from pydantic import BaseModel

from colonnaded.cli.exits import Exit
from colonnaded.cli.program import app
from colonnaded.secrets import SecretReference
from colonnaded.settings import Settings, load_settings
from core.prompting.templates import parse_template
from docs.pages import CODE, DOCS, EVERY, PAGES, ROOT, blocks, name_of, prose_of, text_of
from evals.matching import words

CASES = [
    json.loads(line)
    for line in (ROOT / "evals/suites/docs/cases.jsonl").read_text(encoding="utf-8").splitlines()
]
NAMED = {"budgets", "embedders", "rerankers", "deployments", "routes"}
"""Tables whose entries have names of the operator's."""
COMPUTED = {"embedders.NAME.threads": "the machine's cores, at most 4"}
"""Defaults that are no fixed value, in the page's words."""

_LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
_COMMAND = re.compile(r"\bcolonnade ((?:[a-z]|--).*)")


class TestAnswers:
    @pytest.mark.parametrize("case", [c for c in CASES if c["answerable"]], ids=lambda c: c["id"])
    def test_an_accepted_answer_stands_where_the_case_says(self, case: Mapping[str, Any]) -> None:
        pages = {name: _joined(text_of(DOCS / name)) for name in case["documents"]}
        answers = {answer: _joined(answer) for answer in case["answers"]}
        lost = [a for a, key in answers.items() if not any(key in page for page in pages.values())]
        idle = [n for n, page in pages.items() if not any(key in page for key in answers.values())]
        assert (lost, idle) == ([], [])


def _joined(text: str) -> str:
    return f" {' '.join(words(text))} "


class TestLinks:
    @pytest.mark.parametrize("page", EVERY, ids=name_of)
    def test_every_relative_link_leads_somewhere(self, page: Path) -> None:
        broken = [link for link in _LINK.findall(prose_of(page)) if not _resolves(page, link)]
        assert broken == []

    def test_every_decision_is_in_the_index(self) -> None:
        index = text_of(DOCS / "decisions/README.md")
        for decision in sorted((DOCS / "decisions").glob("0*.md")):
            number, title = text_of(decision).splitlines()[0].removeprefix("# ").split(": ", 1)
            assert f"| [{number}]({decision.name}) | {title} |" in index

    def test_every_page_is_reached_from_the_first(self) -> None:
        reached, waiting = set(), [DOCS / "README.md"]
        while waiting:
            page = waiting.pop()
            if page in reached or page.suffix != ".md":
                continue
            reached.add(page)
            links = (link.partition("#")[0] for link in _LINK.findall(prose_of(page)))
            waiting += [(page.parent / link).resolve() for link in links if _is_ours(link)]
        assert [name_of(page) for page in PAGES if page not in reached] == []


def _is_ours(link: str) -> bool:
    return bool(link) and not link.startswith(("http:", "https:", "mailto:"))


def _resolves(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    if path and not _is_ours(path):
        return True
    target = (page.parent / path).resolve() if path else page
    if not target.exists():
        return False
    return not anchor or anchor in {_slug(h) for h in _headings(target)}


def _headings(page: Path) -> list[str]:
    return [line.lstrip("# ") for line in prose_of(page).splitlines() if line.startswith("#")]


def _slug(heading: str) -> str:
    kept = re.sub(r"[^\w\s-]", "", heading.lower())
    return re.sub(r"\s", "-", kept.strip())


class TestSettings:
    def test_the_page_has_every_key_with_its_default_and_no_other(self) -> None:
        assert dict(_documented()) == dict(_keys(Settings))

    @pytest.mark.parametrize("page", EVERY, ids=name_of)
    def test_every_example_of_settings_is_accepted(
        self, page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        for number, block in enumerate(blocks(page, "toml")):
            if tomllib.loads(block).keys() & Settings.model_fields.keys():
                file = tmp_path / f"{number}.toml"
                file.write_text(block, encoding="utf-8")
                load_settings(file)

    def test_every_example_of_a_template_is_accepted(self) -> None:
        found = [tomllib.loads(block) for page in PAGES for block in blocks(page, "toml")]
        templates = [content for content in found if "task_class" in content]
        assert templates
        for content in templates:
            parse_template(content)


def _documented() -> Iterator[tuple[str, object]]:
    """Each key of the configuration pages with its default."""
    table = ""
    pages = ("operations/configuration.md", "operations/embedders-and-rerankers.md")
    for line in "\n".join(text_of(DOCS / page) for page in pages).splitlines():
        if line.startswith("## "):
            table = "" if line == "## data_dir" else line.removeprefix("## ") + "."
        row = re.match(r"\| `(\w+)` \| (.+?) \|", line)
        if row:
            yield table + row[1], _value(row[2])


def _value(cell: str) -> object:
    literal = re.fullmatch(r"`(.*)`", cell)
    return tomllib.loads(f"it = {literal[1]}")["it"] if literal else cell


def _keys(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Each key of a model with its default, in the words of the page."""
    for name, field in model.model_fields.items():
        table = _table_in(field.annotation)
        if table is None or table is SecretReference:
            given = "required" if field.is_required() else _plain(field.default)
            yield prefix + name, COMPUTED[prefix + name] if field.default_factory else given
        elif prefix + name in NAMED:
            yield from _keys(table, f"{name}.NAME.")
        else:
            if prefix:
                yield prefix + name, "all unknown"
            yield from _keys(table, f"{prefix}{name}.")


def _table_in(annotation: object) -> type[BaseModel] | None:
    """The table that a key holds, one or by name; None for a plain value."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = get_args(annotation) if get_origin(annotation) in (dict, UnionType) else ()
    return next((table for each in inner if (table := _table_in(each))), None)


def _plain(value: object) -> object:
    if value is None:
        return "none"
    if isinstance(value, Path | Decimal):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


class TestCommands:
    @pytest.mark.parametrize("page", EVERY, ids=name_of)
    def test_every_command_line_is_understood(self, page: Path) -> None:
        for line in _command_lines(page):
            _parse(shlex.split(line, comments=True), whole=True)

    @pytest.mark.parametrize("page", EVERY, ids=name_of)
    def test_every_command_in_the_text_exists(self, page: Path) -> None:
        for code in CODE.findall(prose_of(page)):
            if found := _COMMAND.fullmatch(code):
                _parse(shlex.split(found[1]), whole=False)

    def test_every_command_is_on_the_first_page(self) -> None:
        page = text_of(DOCS / "guide/getting-started.md")
        assert [name for name in _leaves(_root()) if f"`colonnade {name}" not in page] == []

    def test_every_exit_code_is_told(self) -> None:
        page = text_of(DOCS / "guide/getting-started.md")
        told = {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}
        assert told == {code.value for code in Exit}


def _command_lines(page: Path) -> Iterator[str]:
    for block in blocks(page, "console"):
        for line in block.replace("\\\n", " ").splitlines():
            if found := _COMMAND.search(line.strip().removeprefix("$ ").rstrip(")")):
                yield found[1]


def _root() -> Any:
    return typer.main.get_command(app)


def _leaves(command: Any, path: str = "") -> Iterator[str]:
    for name, each in command.commands.items():
        full = f"{path} {name}".strip()
        yield from _leaves(each, full) if hasattr(each, "commands") else [full]


def _parse(arguments: list[str], *, whole: bool) -> None:
    """Fail unless the command exists and takes these arguments; in the text, some may lack."""
    command, rest = _root(), list(arguments)
    while rest and hasattr(command, "commands"):
        name = rest.pop(0)
        if name == "--help":
            return
        assert name in command.commands, f"no command {name!r} in: {' '.join(arguments)}"
        command = command.commands[name]
    options = [word.partition("=")[0] for word in rest if re.match(r"--?[a-z]", word)]
    known = {o for p in getattr(command, "params", ()) for o in (*p.opts, *p.secondary_opts)}
    unknown = [option for option in options if option not in known | {"--help"}]
    assert not unknown, f"no option {unknown} in: {' '.join(arguments)}"
    if whole and "--help" not in rest:
        command.make_context(" ".join(arguments), rest)
