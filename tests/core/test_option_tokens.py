from __future__ import annotations

from core.generation import GenerationOptions, ToolDefinition
from core.option_tokens import option_tokens

ADD = ToolDefinition("add", "Adds.", '{"type": "object"}')


def test_options_that_say_nothing_add_nothing() -> None:
    assert option_tokens(GenerationOptions(temperature=0.5, stop=("END",))) == 0


def test_every_byte_of_tools_and_schema_counts() -> None:
    one = option_tokens(GenerationOptions(tools=(ADD,)))
    two = option_tokens(GenerationOptions(tools=(ADD, ADD)))
    assert two - one >= len("addAdds.") + len(ADD.parameters)
    schema = '{"description": "灯塔"}'
    assert option_tokens(GenerationOptions(response_schema=schema)) >= len(schema.encode())
