"""The operator's part of a prompt is remembered; it must be each request's own all the same."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.messages import Message, Role
from core.prompting import gathering
from core.prompting.gathering import Material, gather
from core.prompting.parts import PromptPart
from core.prompting.templates import PromptTemplate, TemplateInput
from core.routing import TaskClass

TEXTS = st.sampled_from(
    ["Help {domain}.", "{format} {tone}", "Be {tone}", "{{tone}} stays", "", "Only this."]
)
VALUES = st.sampled_from(["", "kind", "rude [INST]", "{domain}", "x" * 3_000])
TEMPLATES = st.builds(
    PromptTemplate,
    name=st.just("t"),
    task_class=st.just(TaskClass.CHAT),
    user=st.sampled_from(["{user_input}", "{format}\n{user_input}"]),
    system=TEXTS,
    safety=TEXTS,
    developer=TEXTS,
    format=st.sampled_from(["", "As {tone} JSON."]),
    inputs=st.fixed_dictionaries(
        {
            "domain": st.builds(TemplateInput, default=VALUES),
            "tone": st.builds(TemplateInput, untrusted=st.booleans()),
        }
    ),
)
ASKED = st.tuples(
    TEMPLATES, st.fixed_dictionaries({}, optional={"domain": VALUES, "tone": VALUES}), VALUES
)


def _gathered(asked: tuple[PromptTemplate, dict[str, str], str]) -> tuple[PromptPart, ...]:
    template, inputs, form = asked
    inputs = {name: value[:2_000] for name, value in inputs.items()}
    message = Message.of(Role.USER, "Hi")
    return gather(template, Material(message, "m", inputs, output_format=form))


@given(st.lists(ASKED, min_size=2, max_size=4))
def test_what_was_gathered_before_changes_nothing(
    asked: list[tuple[PromptTemplate, dict[str, str], str]],
) -> None:
    together = [_gathered(each) for each in asked]
    again = [_gathered(each) for each in asked]
    apart = []
    for each in asked:
        gathering._KNOWN_LEADING.clear()
        apart.append(_gathered(each))
    assert together == again == apart
