"""What must come of each answer in `recordings`."""

from __future__ import annotations

from typing import Any

from core.generation import (
    ModelErrorKind,
    SourceCited,
    StopCause,
    TokenUsage,
)
from fakes.heard import Called, Heard

LAMP = Called("lamp", {"tower": "west"})
HORN = Called("horn", {"times": 3})
PAGE = "https://example.org/lighthouse"
CALLED = StopCause.TOOL_CALLS

_CHAT = {
    "usage_in_a_chunk_of_its_own": Heard(
        "The keeper lit the lamp at 17:40.", cause=StopCause.STOP, usage=TokenUsage(21, 11, 16, 0)
    ),
    "reasoning_before_the_answer": Heard(
        "One of them.",
        "Two lamps, one keeper.",
        cause=StopCause.STOP,
        usage=TokenUsage(9, 10, 0, 6),
    ),
    "comments_and_an_error_inside": Heard(reasoning="Short", error=ModelErrorKind.OVERLOADED),
    "thoughts_as_parts": Heard(
        "The west lamp.", "Which lamp?", cause=StopCause.STOP, usage=TokenUsage(8, 9)
    ),
    "timings_instead_of_usage": Heard(
        "Lamps on", cause=StopCause.LENGTH, usage=TokenUsage(48, 2, 12)
    ),
    "returns_and_many_scripts": Heard(
        "灯塔守护人在 17:40 点亮了灯。 🗼👩🏽‍🚒 Ünïcødé",
        cause=StopCause.STOP,
        usage=TokenUsage(0, 0),
    ),
    "a_call_of_a_tool": Heard(
        calls=(Called("lamp_state", {"lamp": "west"}),), cause=CALLED, usage=TokenUsage(53, 15)
    ),
    "filtered": Heard("The storm", cause=StopCause.CONTENT_FILTER),
    "declined": Heard(
        refusal="I can't help with that.", cause=StopCause.STOP, usage=TokenUsage(30, 8)
    ),
    "an_event_of_type_error": Heard("Half", error=ModelErrorKind.CONTEXT_TOO_LONG),
    "no_end_mark": Heard("Whole", cause=StopCause.STOP, usage=TokenUsage(3, 1)),
    "no_finish_reason": Heard("Half an", error=ModelErrorKind.MALFORMED_STREAM),
    "calls_interleaved": Heard(calls=(LAMP, HORN), cause=CALLED, usage=TokenUsage(40, 31)),
    "calls_all_numbered_zero": Heard(calls=(LAMP, HORN), cause=CALLED, usage=TokenUsage(40, 31)),
    "calls_without_number_or_id": Heard(calls=(LAMP, HORN), cause=CALLED, usage=TokenUsage(40, 31)),
    "id_and_name_with_each_piece": Heard(calls=(LAMP,), cause=CALLED, usage=TokenUsage(40, 31)),
    "arguments_as_an_object": Heard(calls=(LAMP,), cause=CALLED, usage=TokenUsage(40, 31)),
    "tags_around_thoughts": Heard(
        "One of them <think>.",
        "Two lamps, <b>one</b> keeper.",
        cause=StopCause.STOP,
        usage=TokenUsage(9, 12),
    ),
    "log_probabilities": Heard("West", cause=StopCause.STOP, usage=TokenUsage(9, 1)),
    "pages_cited": Heard("Built in 1861.", cause=StopCause.STOP, usage=TokenUsage(9, 5)),
    "usage_in_a_place_of_its_own": Heard("Yes.", cause=StopCause.STOP, usage=TokenUsage(9, 2)),
    "cut_by_the_servers_own_word": Heard("Half", error=ModelErrorKind.OVERLOADED),
    "choices_cached_and_written": Heard(
        "Yes.", cause=StopCause.STOP, usage=TokenUsage(100, 2, 60, None, 30)
    ),
}
_MESSAGES = {
    "thoughts_sealed_and_withheld": Heard(
        "One of them.",
        "Two lamps, one keeper.",
        cause=StopCause.STOP,
        usage=TokenUsage(20, 30, 0, 24, 0),
    ),
    "two_calls": Heard(
        "I'll look.", calls=(LAMP, Called("now", {})), cause=CALLED, usage=TokenUsage(50, 41)
    ),
    "cache_read_and_written": Heard(
        "Yes.", cause=StopCause.STOP, usage=TokenUsage(94, 2, 60, None, 30)
    ),
    "a_stop_sequence": Heard("One", cause=StopCause.STOP, usage=TokenUsage(4, 1)),
    "sources_cited": Heard(
        "It is old. Built in 1861.", cause=StopCause.STOP, usage=TokenUsage(4, 9)
    ),
    "overloaded_in_mid_answer": Heard("Half", error=ModelErrorKind.OVERLOADED),
    "no_end_mark": Heard("Half", error=ModelErrorKind.MALFORMED_STREAM),
    "declined": Heard("I", cause=StopCause.CONTENT_FILTER, usage=TokenUsage(4, 1)),
    "the_providers_own_tool": Heard("Found.", cause=StopCause.STOP, usage=TokenUsage(4, 8)),
}
_RESPONSES = {
    "thoughts_sealed": Heard(
        "One of them.",
        "Two lamps.\n\nOne keeper.",
        cause=StopCause.STOP,
        usage=TokenUsage(20, 30, 16, 24),
    ),
    "two_calls": Heard(calls=(LAMP, HORN), cause=CALLED, usage=TokenUsage(50, 41, 0, 0)),
    "declined": Heard(
        refusal="I can't help with that.", cause=StopCause.STOP, usage=TokenUsage(5, 8, 0, 0)
    ),
    "too_long": Heard("Half", cause=StopCause.LENGTH, usage=TokenUsage(5, 1, 0, 0)),
    "failed": Heard("Half", error=ModelErrorKind.RATE_LIMITED),
    "an_error_event": Heard("Half", error=ModelErrorKind.CONTEXT_TOO_LONG),
    "no_end": Heard("Half", error=ModelErrorKind.MALFORMED_STREAM),
    "pages_cited": Heard("Built in 1861.", cause=StopCause.STOP, usage=TokenUsage(5, 5, 0, 0)),
}
_GEMINI = {
    "thoughts_sealed": Heard(
        "One of them.",
        "Two lamps, one keeper.",
        cause=StopCause.STOP,
        usage=TokenUsage(9, 10, 5, 6),
    ),
    "two_calls": Heard(calls=(LAMP, HORN), cause=CALLED, usage=TokenUsage(40, 31)),
    "prompt_blocked": Heard(error=ModelErrorKind.CONTENT_FILTERED),
    "filtered": Heard("The storm", cause=StopCause.CONTENT_FILTER, usage=TokenUsage(9, 2)),
    "a_malformed_call": Heard(error=ModelErrorKind.MALFORMED_STREAM),
    "too_long": Heard("Half", cause=StopCause.LENGTH, usage=TokenUsage(9, 1)),
    "an_error_inside": Heard("Half", error=ModelErrorKind.RATE_LIMITED),
    "sources_cited": Heard(
        "灯塔 was built in 1861.", cause=StopCause.STOP, usage=TokenUsage(20, 6)
    ),
    "log_probabilities": Heard("West", cause=StopCause.STOP, usage=TokenUsage(9, 1)),
    "no_finish_reason": Heard("Half", error=ModelErrorKind.MALFORMED_STREAM),
}

EXPECTED = {
    f"{folder}/{name}": heard
    for folder, answers in (
        ("chat", _CHAT),
        ("messages", _MESSAGES),
        ("responses", _RESPONSES),
        ("gemini", _GEMINI),
    )
    for name, heard in answers.items()
}
"""By format and name."""

DETAILS: dict[str, dict[str, Any]] = {
    "chat/calls_interleaved": {"call_ids": ("call_a", "call_b")},
    "chat/log_probabilities": {"tokens": ("West",)},
    "chat/pages_cited": {"sources": (SourceCited(PAGE, "The lighthouse", "", 9, 13),)},
    "messages/thoughts_sealed_and_withheld": {
        "seals": (
            '{"type": "thinking", "signature": "c2VhbA=="}',
            '{"type": "redacted_thinking", "data": "d2l0aGhlbGQ="}',
        )
    },
    "messages/two_calls": {"call_ids": ("toolu_a", "toolu_b")},
    "messages/sources_cited": {
        "sources": (SourceCited("", "The lighthouse", "was built in 1861", 11, 25),)
    },
    "responses/two_calls": {"call_ids": ("call_1", "call_2")},
    "responses/failed": {"retry_after": 1.5},
    "responses/pages_cited": {
        "sources": (SourceCited(PAGE, "The lighthouse", "", 9, 13),),
        "tokens": ("Built",),
    },
    "gemini/thoughts_sealed": {"seals": ("c2VhbA==",)},
    "gemini/two_calls": {"seals": ("c2VhbA==",)},
    "gemini/an_error_inside": {"retry_after": 34.5},
    "gemini/sources_cited": {"sources": (SourceCited(PAGE, "The lighthouse", "", 3, 21),)},
    "gemini/log_probabilities": {"tokens": ("West",)},
}
"""What else must come, where there is more."""
