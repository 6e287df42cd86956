"""For each reason of the contract, the test that provokes it and looks at what callers are told."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from adapters.grpc.errors import status_of
from colonnade.v1.errors_pb2 import ErrorReason
from core.errors import ColonnadeError, Reason
from core.identifiers import CallId

HERE = Path(__file__).parent

PROVOKED = {
    "INVALID_FIELD": ("test_chat_bad_requests", "test_each_wrong_field_is_named"),
    "RESOURCE_NOT_FOUND": ("test_service_refusals", "test_an_unknown_model_is_not_found"),
    "RESOURCE_EXISTS": ("test_service_refusals", "test_a_collection_is_made_once"),
    "REQUEST_ID_REUSED": ("test_turn_refusals", "test_a_request_id_stands_for_one_content"),
    "BRANCH_BUSY": ("test_turn_refusals", "test_a_branch_runs_one_turn_at_a_time"),
    "STALE_ETAG": ("test_service_refusals", "test_a_change_on_stale_grounds_is_aborted"),
    "SCOPE_MISSING": ("test_keys", "test_each_method_wants_the_scope_of_its_option"),
    "RETRACTIONS_REQUIRED": (
        "test_turn_refusals",
        "test_one_who_cannot_take_text_back_reads_no_turn_that_may",
    ),
    "FEATURE_UNSUPPORTED": (
        "test_turn_refusals",
        "test_what_the_server_cannot_do_is_refused_by_name",
    ),
    "CREDENTIALS_MISSING": ("test_keys", "test_a_call_without_a_key_is_told_how_to_bring_one"),
    "CREDENTIALS_INVALID": ("test_keys", "test_a_key_that_opens_nothing_is_never_told_why"),
    "TOO_MANY_REQUESTS": (
        "test_chain",
        "test_more_calls_than_there_is_room_for_are_refused_until_one_ends",
    ),
    "STORAGE_FULL": ("test_service_refusals", "test_a_full_disk_is_said_and_reading_goes_on"),
    "MODELS_UNAVAILABLE": ("test_turn_refusals", "test_every_attempt_that_failed_is_told"),
    "ATTEMPT_FAILED": ("test_turn_refusals", "test_every_attempt_that_failed_is_told"),
    "SERVICE_UNAVAILABLE": (
        "test_service_refusals",
        "test_a_store_that_is_away_is_unavailable_and_comes_back",
    ),
    "CONTEXT_TOO_LONG": ("test_turn_refusals", "test_a_prompt_that_does_not_fit_says_by_how_much"),
    "DEADLINE_EXCEEDED": (
        "test_deadlines",
        "test_without_detach_the_turn_ends_with_its_caller_and_is_booked",
    ),
    "TURN_ABANDONED": (
        "test_turn_refusals",
        "test_a_turn_that_everybody_left_can_be_asked_for_again",
    ),
    "TURN_INTERRUPTED": (
        "test_turn_refusals",
        "test_a_turn_that_the_server_dropped_can_be_asked_for_again",
    ),
    "TURN_LOG_EXPIRED": (
        "test_turn_refusals",
        "test_a_log_that_was_cut_or_lost_is_never_read_with_a_gap",
    ),
    "TURN_LOG_LOST": (
        "test_turn_refusals",
        "test_a_log_that_was_cut_or_lost_is_never_read_with_a_gap",
    ),
    "BUDGET_SPENT": ("test_model_refusals", "test_a_spent_budget_is_told_by_name"),
    "INTERNAL": ("test_service_refusals", "test_a_bug_tells_the_call_and_nothing_else"),
}
NOT_YET = {"POLICY_REFUSED"}
"""No rule of a tenant can be set yet, so nothing refuses by one."""


def test_the_table_has_every_reason_once() -> None:
    reasons = {name.removeprefix("ERROR_REASON_") for name in ErrorReason.keys()}  # noqa: SIM118
    assert PROVOKED.keys() | NOT_YET == reasons - {"UNSPECIFIED"}
    assert not PROVOKED.keys() & NOT_YET


@pytest.mark.parametrize("reason", PROVOKED)
def test_the_test_that_provokes_it_is_there_and_names_it(reason: str) -> None:
    file, name = PROVOKED[reason]
    source = (HERE / f"{file}.py").read_text(encoding="utf-8")
    tests = {
        node.name: ast.get_source_segment(source, node) or ""
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert name in tests
    constants = {
        node.targets[0].id: ast.get_source_segment(source, node.value) or ""
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    used = tests[name] + "".join(text for key, text in constants.items() if key in tests[name])
    assert f'"{reason}"' in used


@pytest.mark.parametrize("reason", sorted(NOT_YET))
def test_what_nothing_provokes_yet_has_its_status_all_the_same(reason: str) -> None:
    class Refused(ColonnadeError):
        pass

    Refused.reason = Reason(reason)
    status = status_of(Refused("no", rule="residency"), CallId("call"))
    assert (status.code.name, status.reason) == ("FAILED_PRECONDITION", reason)
