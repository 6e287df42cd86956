"""Templates: what is accepted, what is refused by name, and what fills their slots."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.prompting.slots import fill
from core.prompting.templates import parse_template
from core.routing import TaskClass

PROMPTS = Path(__file__).parents[2] / "cmd" / "colonnaded" / "prompts"
MINIMAL = {"name": "mine", "task_class": "chat", "user": "{user_input}"}


def violations(content: dict[str, object]) -> dict[str, str]:
    with pytest.raises(InvalidInput) as caught:
        parse_template(content, "prompts/mine.toml")
    return {violation.field: violation.description for violation in caught.value.violations}


def test_the_built_in_templates_are_sound() -> None:
    names = set()
    for path in PROMPTS.glob("*.toml"):
        template = parse_template(tomllib.loads(path.read_text("utf-8")), path.name)
        assert template.name == path.stem
        names.add(template.name)
    assert {"chat", "grounded"} <= names


def test_the_version_follows_the_content_and_nothing_else() -> None:
    first = parse_template(MINIMAL).version
    assert first == parse_template(dict(reversed(MINIMAL.items()))).version
    assert first.startswith("mine@")
    assert first != parse_template({**MINIMAL, "system": "Be brief."}).version


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"user": "no slot"}, "user"),
        ({"user": "{user_input}{user_input}"}, "user"),
        ({"user": "See {retrieved_context}: {user_input}"}, "user"),
        ({"system": "{user_input}"}, "system"),
        ({"system": "{retrieved_context}"}, "system"),
        ({"system": "{product}"}, "system"),
        ({"format": "{format}"}, "format"),
        ({"inputs": {"user_input": {}}}, "inputs.user_input"),
        ({"inputs": {"product": {"max_length": 0}}}, "inputs.product.max_length"),
        ({"inputs": {"product": {"colour": "red"}}}, "inputs.product.colour"),
        ({"name": "Not A Name"}, "name"),
        ({"task_class": "gardening"}, "task_class"),
        ({"sytem": "typo"}, "sytem"),
    ],
)
def test_an_unsound_template_is_refused_with_its_key(change: dict[str, object], field: str) -> None:
    assert f"prompts/mine.toml.{field}" in violations({**MINIMAL, **change})


def test_inputs_are_checked_against_the_schema() -> None:
    template = parse_template(
        {
            **MINIMAL,
            "inputs": {"product": {"required": True, "max_length": 5}, "tone": {"default": "dry"}},
        }
    )
    assert template.task_class is TaskClass.CHAT
    assert template.values({"product": "lift"}) == {"product": "lift", "tone": "dry"}
    with pytest.raises(InvalidInput) as caught:
        template.values({"product": "elevator", "size": "1"})
    assert [v.field for v in caught.value.violations] == [
        "prompt.inputs.size",
        "prompt.inputs.product",
    ]
    with pytest.raises(InvalidInput, match=r"prompt\.inputs\.product: mine requires it"):
        template.values({})


def test_doubled_braces_are_text_and_other_braces_too() -> None:
    text = 'Write {{task}} or {"a": {b}} for {task}.'
    assert fill(text, {"task": "it", "b": "x"}) == 'Write {task} or {"a": x} for it.'


@given(st.text(), st.text(alphabet="{}taskdomin _", max_size=30))
def test_what_fills_a_slot_is_never_read_as_a_slot(free: str, adversarial: str) -> None:
    for value in (free, adversarial, "{domain}", "{{task}}"):
        filled = fill("<{task}|{domain}>", {"task": value, "domain": "D"})
        assert filled == f"<{value}|D>"
