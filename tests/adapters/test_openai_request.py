from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from adapters.models.openai_dialects import DIALECTS, Dialect, dialect_of
from adapters.models.openai_request import message_shapes, request_body
from adapters.models.schemas import DEEPEST_SCHEMA, is_closed
from core.generation import (
    GenerationOptions,
    GenerationRequest,
    ModelError,
    ModelErrorKind,
    ToolChoice,
)
from core.messages import (
    ImagePart,
    Message,
    ReasoningPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from fakes.full_requests import ADD, CLOSED, EFFORT, NO_EFFORT, SCHEMA, everything
from fakes.language_model import a_deployment

PAGE = ImagePart("https://a/b.png", "image/png")
ONE_AT_A_TIME = GenerationOptions(tools=(ADD,), parallel_tool_calls=False)
ONE_TOOL = GenerationOptions(tools=(ADD,), tool_choice=ToolChoice.ONE, chosen_tool="add")
DEPLOYMENT = replace(a_deployment(), model="m", max_output_tokens=100)


def body(
    *messages: Message, dialect: Dialect | None = None, options: GenerationOptions | None = None
) -> dict[str, object]:
    request = GenerationRequest(messages, options or GenerationOptions())
    return request_body(request, DEPLOYMENT, dialect or Dialect())


def shapes(*messages: Message, dialect: Dialect | None = None) -> object:
    return body(*messages, dialect=dialect)["messages"]


def test_only_what_was_asked_for_is_sent() -> None:
    assert body(Message.of(Role.USER, "hi")) == {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        "max_tokens": 100,
        "stream_options": {"include_usage": True},
    }


def test_every_option_is_sent() -> None:
    options = GenerationOptions(0.0, 0.5, 7, ("END", "\n"), 0, '{"type": "object"}')
    sent = body(Message.of(Role.USER, "hi"), options=options)
    assert sent["temperature"] == 0.0
    assert sent["top_p"] == 0.5
    assert sent["max_tokens"] == 7
    assert sent["stop"] == ["END", "\n"]
    assert sent["seed"] == 0
    schema = {"name": "response", "schema": {"type": "object"}, "strict": False}
    assert sent["response_format"] == {"type": "json_schema", "json_schema": schema}


@pytest.mark.parametrize(("asked", "sent"), [(None, 100), (7, 7), (1_000, 100)])
def test_an_answer_is_always_bounded(asked: int | None, sent: int) -> None:
    options = GenerationOptions(max_output_tokens=asked)
    assert body(options=options)["max_tokens"] == sent


def test_dialects() -> None:
    reasoning = Dialect("max_completion_tokens", developer_role=True, stream_usage=False)
    sent = body(Message.of(Role.DEVELOPER, "Be short."), dialect=reasoning)
    assert sent["max_completion_tokens"] == 100
    assert "max_tokens" not in sent
    assert "stream_options" not in sent
    assert sent["messages"] == [{"role": "developer", "content": "Be short."}]
    assert shapes(Message.of(Role.DEVELOPER, "x")) == [{"role": "system", "content": "x"}]


def test_images_stand_among_the_text() -> None:
    message = Message(Role.USER, (TextPart("What?"), ImagePart("https://a/b.png", "image/png")))
    assert shapes(message) == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What?"},
                {"type": "image_url", "image_url": {"url": "https://a/b.png"}},
            ],
        }
    ]


def test_calls_of_tools_and_their_results() -> None:
    call = Message(Role.ASSISTANT, (ToolCallPart("c1", "add", '{"a": 1}'),))
    results = Message(Role.TOOL, (ToolResultPart("c1", "2"), ToolResultPart("c2", "3")))
    function = {"name": "add", "arguments": '{"a": 1}'}
    assert shapes(call, results) == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "2"},
        {"role": "tool", "tool_call_id": "c2", "content": "3"},
    ]


def nested(levels: int) -> str:
    return '{"items":' * (levels - 1) + "{}" + "}" * (levels - 1)


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ("{", "not a JSON object"),
        ("[]", "not a JSON object"),
        ('"string"', "not a JSON object"),
        ("[" * 50_000, "not a JSON object"),
        (nested(DEEPEST_SCHEMA + 1), "levels deep"),
        (nested(900), "levels deep"),
    ],
    ids=lambda value: value[:20],
)
def test_a_schema_that_is_none_is_refused(schema: str, said: str) -> None:
    with pytest.raises(ModelError, match=said) as caught:
        body(options=GenerationOptions(response_schema=schema))
    assert caught.value.kind is ModelErrorKind.BAD_REQUEST


def test_a_deep_schema_passes() -> None:
    schema = nested(DEEPEST_SCHEMA)
    sent = body(options=GenerationOptions(response_schema=schema))
    assert json.dumps(sent["response_format"]).count("items") == DEEPEST_SCHEMA - 1


def test_a_closed_schema_is_strict() -> None:
    """OpenAI refuses an open one in its strict mode; it goes without that mode."""
    sent = body(options=GenerationOptions(response_schema=CLOSED))
    form = sent["response_format"]
    assert isinstance(form, dict)
    assert form["json_schema"]["strict"] is True


@pytest.mark.parametrize(
    ("schema", "closed"),
    [
        ("{}", True),
        ('{"type": "array", "items": {"type": "string"}}', True),
        ('{"type": "object", "additionalProperties": false}', True),
        ('{"type": "object"}', False),
        (SCHEMA, False),
        (CLOSED, True),
        ('{"type": "array", "items": ' + SCHEMA + "}", False),
        (CLOSED.replace('["a"]', "[]"), False),
    ],
)
def test_which_schemas_are_closed(schema: str, closed: bool) -> None:
    assert is_closed(json.loads(schema)) is closed


class TestDialects:
    def sent(self, name: str, options: GenerationOptions) -> dict[str, object]:
        return body(Message.of(Role.USER, "hi"), dialect=DIALECTS[name], options=options)

    @pytest.mark.parametrize(
        ("name", "options", "sent"),
        [
            ("openai", everything(cache_key="team"), {"prompt_cache_key": "team"}),
            ("mistral", everything(seed=3), {"random_seed": 3, "tool_choice": "any"}),
            ("vllm", everything(seed=3), {"seed": 3, "tool_choice": "required"}),
            ("openai", EFFORT, {"reasoning_effort": "low"}),
            ("openrouter", EFFORT, {"reasoning": {"effort": "low"}}),
            ("openrouter", NO_EFFORT, {"reasoning": {"enabled": False}}),
            (
                "llama.cpp",
                NO_EFFORT,
                {"chat_template_kwargs": {"enable_thinking": False, "reasoning_effort": "none"}},
            ),
            ("generic", GenerationOptions(logprobs=0), {"logprobs": True}),
            ("generic", GenerationOptions(logprobs=2), {"logprobs": True, "top_logprobs": 2}),
            (
                "tgi",
                GenerationOptions(response_schema="{}"),
                {"response_format": {"type": "json_object", "value": {}}},
            ),
        ],
    )
    def test_spellings(
        self, name: str, options: GenerationOptions, sent: dict[str, object]
    ) -> None:
        made = self.sent(name, options)
        assert {key: made.get(key) for key in sent} == sent

    def test_a_key_of_the_cache_is_a_hint(self) -> None:
        assert "prompt_cache_key" not in self.sent("vllm", GenerationOptions(cache_key="team"))

    @pytest.mark.parametrize(
        ("name", "sent"),
        [
            ("vllm", {"continue_final_message": True, "add_generation_prompt": False}),
            ("llama.cpp", {}),
        ],
    )
    def test_an_answer_that_was_begun_goes_on(self, name: str, sent: dict[str, object]) -> None:
        begun = (Message.of(Role.USER, "hi"), Message.of(Role.ASSISTANT, "It is "))
        made = body(*begun, dialect=DIALECTS[name])
        assert made["messages"] == [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "It is "},
        ]
        assert sent.items() <= made.items()

    @pytest.mark.parametrize("name", ["mistral", "deepseek"])
    def test_or_is_marked(self, name: str) -> None:
        made = shapes(Message.of(Role.ASSISTANT, "It is "), dialect=DIALECTS[name])
        assert made == [{"role": "assistant", "content": "It is ", "prefix": True}]

    @pytest.mark.parametrize(
        ("name", "message", "options", "named"),
        [
            ("openai", Message.of(Role.ASSISTANT, "It is "), GenerationOptions(), "was begun"),
            ("ollama", Message.of(Role.USER, "hi"), ONE_AT_A_TIME, "parallel_tool_calls"),
            ("llama.cpp", Message.of(Role.USER, "hi"), ONE_TOOL, "tool choice 'one'"),
            ("ollama", Message.of(Role.USER, "hi"), everything(), "tool choice 'required'"),
            ("ollama", Message(Role.USER, (PAGE,)), GenerationOptions(), "lie elsewhere"),
        ],
    )
    def test_what_a_dialect_lacks_is_refused_by_name(
        self, name: str, message: Message, options: GenerationOptions, named: str
    ) -> None:
        """A model that takes no beginning must say so, not answer anew."""
        with pytest.raises(ModelError, match=named) as caught:
            body(message, dialect=DIALECTS[name], options=options)
        assert caught.value.kind is ModelErrorKind.UNSUPPORTED

    def test_where_calls_cannot_be_forbidden_there_are_no_tools(self) -> None:
        options = GenerationOptions(tools=(ADD,), tool_choice=ToolChoice.NONE)
        assert self.sent("vllm", options)["tool_choice"] == "none"
        assert "tools" not in self.sent("ollama", options)

    def test_ids_of_calls_have_the_length_that_is_wanted(self) -> None:
        call = Message(Role.ASSISTANT, (ToolCallPart("call_of_another", "add", "{}"),))
        result = Message(Role.TOOL, (ToolResultPart("call_of_another", "2"),))
        made = json.dumps(shapes(call, result, dialect=DIALECTS["mistral"]))
        ids = set(re.findall(r'id": "(\w+)"', made))
        assert [len(one) for one in ids] == [9]

    def test_thoughts_go_back_where_they_are_wanted(self) -> None:
        call = ToolCallPart("c1", "add", "{}")
        for name, seal, sent in (
            ("deepseek", "", {"reasoning_content": "Hm."}),
            ("openrouter", '[{"type": "x"}]', {"reasoning_details": [{"type": "x"}]}),
        ):
            thought = ReasoningPart("Hm.", seal, name)
            (made,) = message_shapes(Message(Role.ASSISTANT, (thought, call)), DIALECTS[name])
            assert sent.items() <= made.items()
            (other,) = message_shapes(Message(Role.ASSISTANT, (thought, call)), DIALECTS["vllm"])
            assert "Hm." not in json.dumps(other)

    @pytest.mark.parametrize(
        ("address", "name"),
        [
            ("https://api.openai.com/v1", "openai"),
            ("https://our.openai.azure.com/openai/v1", "azure"),
            ("https://api.mistral.ai/v1", "mistral"),
            ("https://openrouter.ai/api/v1", "openrouter"),
            ("http://127.0.0.1:8080/v1", "generic"),
            ("", "generic"),
        ],
    )
    def test_a_host_that_is_known_tells_its_dialect(self, address: str, name: str) -> None:
        assert dialect_of(address).name == name
