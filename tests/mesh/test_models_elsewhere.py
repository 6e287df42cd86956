"""Chat in one process, the models in another: what people see, and what is booked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from colonnade.client import Client, ColonnadeError
from colonnade.v1.chat_pb2 import CancelChatRequest, ChatRequest
from colonnade.v1.messages_pb2 import Message, Part
from colonnade.v1.models_pb2 import GenerateRequest
from colonnade.v1.turns_pb2 import (
    FINISH_REASON_INTERRUPTED,
    FINISH_REASON_STOP,
    TURN_STATE_FAILED,
    TURN_STATE_FINISHED,
)
from fakes.chat_server import ChatServerDouble, Stream
from mesh.mesh_of_two import Mesh, mesh
from mesh.server_process import ServerProcess, _free_port
from mesh.test_killed_server import read_some

WORDS = [f"word{number} " for number in range(200)]


def asking(text: str = "Count.", **fields: Any) -> ChatRequest:
    return ChatRequest(message=Message(parts=[Part(text=text)]), **fields)


async def in_thread(work: Callable[..., Any], *arguments: Any) -> Any:
    return await asyncio.to_thread(work, *arguments)


def code_of(error: ColonnadeError) -> grpc.StatusCode:
    return error.code


async def test_a_turn_is_answered_and_booked_once(tmp_path: Path) -> None:
    async with ChatServerDouble(Stream.of("Hel", "lo.")) as upstream:
        await in_thread(_answered, tmp_path, upstream.url)
        assert len(upstream.requests) == 1


def _answered(folder: Path, url: str) -> None:
    with mesh(folder, url) as two, two.chat.client() as client:
        answer = client.stubs.chat.Chat(asking(), timeout=30, metadata=client.metadata)
        assert answer.answer.parts[0].text == "Hello."
        turn = client.turn(answer.turn_id)
        assert (turn.usage.prompt_tokens, turn.usage.output_tokens) == (7, 2)
        assert turn.cost.amount == "0.000011"
        assert not turn.usage.estimated
        [line] = [each for each in two.chat.calls() if str(each["method"]).endswith(".Chat")]
        far = two.models[0].wait_for_call(str(line["call_id"]))
        assert str(far["method"]).endswith("RunGeneration")
        assert (far["tenant_id"], far["user_id"]) == (line["tenant_id"], line["user_id"])


def test_each_hosts_what_it_was_told_to_and_says_so(tmp_path: Path) -> None:
    with mesh(tmp_path, "http://127.0.0.1:1") as two:
        [models] = two.models
        with models.client() as client, pytest.raises(ColonnadeError) as refused:
            client.ask("Hi")
        assert code_of(refused.value) is grpc.StatusCode.UNIMPLEMENTED
        with two.chat.client() as client, pytest.raises(grpc.RpcError) as missing:
            client.stubs.models.Generate(GenerateRequest(), metadata=client.metadata)
        assert missing.value.code() is grpc.StatusCode.UNIMPLEMENTED
        serving, unknown = HealthCheckResponse.SERVING, None
        told = {
            service: (health(two.chat, service), health(models, service))
            for service in ("ChatService", "ModelService", "AdminService", "RetrievalService")
        }
        assert told == {
            "ChatService": (serving, unknown),
            "ModelService": (unknown, serving),
            "AdminService": (serving, serving),
            "RetrievalService": (serving, unknown),
        }
        opened = {path.name for path in (models.folder / "data").rglob("*") if path.is_dir()}
        assert not opened & {"vectors", "keywords"}


def health(process: ServerProcess, service: str) -> int | None:
    with grpc.insecure_channel(process.address) as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=HealthCheckRequest.SerializeToString,
            response_deserializer=HealthCheckResponse.FromString,
        )
        try:
            answer = check(HealthCheckRequest(service=f"colonnade.v1.{service}"), timeout=10)
        except grpc.RpcError:
            return None
        return int(answer.status)


async def test_a_cancel_reaches_the_provider_in_250_ms(tmp_path: Path) -> None:
    async with ChatServerDouble(Stream.of(*WORDS, pause=0.02)) as upstream:
        stopped = await in_thread(_cancelled, tmp_path, upstream.url)
        await asyncio.wait_for(upstream.gone.wait(), 5)
        assert upstream.left_at - stopped < 0.25


def _cancelled(folder: Path, url: str) -> float:
    with mesh(folder, url) as two, two.chat.client() as client:
        _, turn = read_some(client, 6)
        began = time.monotonic()
        client.stubs.chat.CancelChat(
            CancelChatRequest(turn_id=turn), timeout=5, metadata=client.metadata
        )
        time.sleep(0.5)  # the processes live on meanwhile
        return began


async def test_a_killed_host_ends_the_turn_with_what_was_said_and_the_next_one_goes_on(
    tmp_path: Path,
) -> None:
    async with ChatServerDouble(Stream.of(*WORDS, pause=0.02)) as upstream:
        await in_thread(_killed, tmp_path, upstream)


def _killed(folder: Path, upstream: ChatServerDouble) -> None:
    with mesh(folder, upstream.url) as two, two.chat.client() as client:
        seen, turn_id = read_some(client, 8)
        two.models[0].kill()
        turn = _ended(client, turn_id)
        assert turn.state == TURN_STATE_FAILED
        assert not turn.rerunnable
        assert turn.usage.estimated
        said = "".join(event.delta.text for event in seen)
        assert said
        with pytest.raises(ColonnadeError) as failed, client.resume(turn_id) as again:
            list(again)
        assert failed.value.reason == "MODELS_UNAVAILABLE"
        upstream.reply = Stream.of("Back.")
        two.models[0].start()
        answer = client.stubs.chat.Chat(asking(), timeout=30, metadata=client.metadata)
        assert answer.answer.parts[0].text == "Back."


def _ended(client: Client, turn_id: str) -> Any:
    until = time.monotonic() + 10
    while (turn := client.turn(turn_id)).state not in (TURN_STATE_FAILED, TURN_STATE_FINISHED):
        assert time.monotonic() < until
        time.sleep(0.02)
    return turn


async def test_who_asked_is_killed_and_the_provider_stops_and_is_booked_once(
    tmp_path: Path,
) -> None:
    loop = asyncio.get_running_loop()
    async with ChatServerDouble(Stream.of(*WORDS, pause=0.02)) as upstream:

        def gone() -> None:
            asyncio.run_coroutine_threadsafe(upstream.gone.wait(), loop).result(2)

        await in_thread(_asker_killed, tmp_path, upstream.url, gone)
        assert len(upstream.requests) == 1


def _asker_killed(folder: Path, url: str, gone: Callable[[], None]) -> None:
    with mesh(folder, url) as two:
        with two.chat.client() as client:
            seen, turn_id = read_some(client, 8)
        two.chat.kill()
        gone()
        two.chat.start()
        with two.chat.client() as client:
            turn = _settled(client, turn_id)
            assert turn.finish_reason == FINISH_REASON_INTERRUPTED
            said = "".join(event.delta.text for event in seen)
            assert turn.answer.parts[0].text.startswith(said)
            [attempt] = client.admin.turn(turn_id).attempts
            assert attempt.booked
            assert attempt.usage.estimated
            assert attempt.usage.output_tokens > 0


def _settled(client: Client, turn_id: str) -> Any:
    """The turn, once its runner's lease has run out and somebody has settled it."""
    until = time.monotonic() + 60
    while (turn := client.turn(turn_id)).state not in (TURN_STATE_FAILED, TURN_STATE_FINISHED):
        assert time.monotonic() < until
        time.sleep(0.2)
    return turn


async def test_another_host_goes_on_from_the_text_of_one_that_was_killed(tmp_path: Path) -> None:
    def rest(body: dict[str, Any]) -> Stream:
        last = body["messages"][-1]
        said = len(last["content"].split()) if last["role"] == "assistant" else 0
        words = WORDS[said:60]
        return Stream.of(*(f" {word.strip()}" for word in words), pause=0.02)

    async with ChatServerDouble(choose=rest) as upstream:
        await in_thread(_gone_on, tmp_path, upstream.url)
        assert upstream.requests[-1]["messages"][-1]["role"] == "assistant"  # type: ignore[index]


def _gone_on(folder: Path, url: str) -> None:
    with (
        mesh(folder, url, hosts=2, more="takes_prefix = true\n") as three,
        three.chat.client() as client,
    ):
        following = _next_host(three, client)
        _, turn_id = read_some(client, 8)
        following.kill()
        turn = _ended(client, turn_id)
        assert turn.finish_reason == FINISH_REASON_STOP
        assert turn.answer.parts[0].text.split() == "".join(WORDS[:60]).split()
        details = client.admin.turn(turn_id)
        assert [attempt.booked for attempt in details.attempts] == [True, True]
        assert [attempt.usage.estimated for attempt in details.attempts] == [True, False]


def _next_host(mesh: Mesh, client: Client) -> ServerProcess:
    """Whose turn it is, once both have taken calls: not that of the one who was the last."""
    for asked in range(1, 20):
        before = [len(each.calls()) for each in mesh.models]
        client.stubs.chat.Chat(asking(), timeout=30, metadata=client.metadata)
        after = _shares(mesh, asked)
        if min(after) > 0:
            return mesh.models[0 if after[1] > before[1] else 1]
    raise AssertionError("one of them is never asked")


async def test_where_one_of_two_is_dead_nobody_notices(tmp_path: Path) -> None:
    async with ChatServerDouble(Stream.of("Yes.")) as upstream:
        await in_thread(_one_dead, tmp_path, upstream.url)


def _one_dead(folder: Path, url: str) -> None:
    with (
        mesh(folder, url, hosts=2, dead=[f"127.0.0.1:{_free_port()}"]) as three,
        three.chat.client() as client,
    ):
        for _ in range(10):
            answer = client.stubs.chat.Chat(asking(), timeout=30, metadata=client.metadata)
            assert answer.finish_reason == FINISH_REASON_STOP
        shares = _shares(three, 10)
        assert min(shares) >= 3  # each call goes to the next
        three.models[0].kill()
        for _ in range(10):
            answer = client.stubs.chat.Chat(asking(), timeout=30, metadata=client.metadata)
            assert answer.answer.parts[0].text == "Yes."
        assert _shares(three, 20)[1] == shares[1] + 10


def _shares(three: Mesh, calls: int) -> list[int]:
    """How many calls each took, once all have ended: a line is written just after its status."""
    until = time.monotonic() + 5
    while sum(shares := [len(each.calls()) for each in three.models]) < calls:
        assert time.monotonic() < until
        time.sleep(0.02)
    return shares


async def test_a_host_that_drains_lets_what_it_runs_end(tmp_path: Path) -> None:
    async with ChatServerDouble(Stream.of(*WORDS[:50], pause=0.02)) as upstream:
        await in_thread(_drained, tmp_path, upstream.url)


def _drained(folder: Path, url: str) -> None:
    with mesh(folder, url) as two, two.chat.client() as client:
        _, turn_id = read_some(client, 6)
        assert two.models[0].stop() == 0
        turn = _ended(client, turn_id)
        assert turn.answer.parts[0].text == "".join(WORDS[:50])
        assert turn.finish_reason == FINISH_REASON_STOP


def test_the_doctor_sees_whether_the_host_is_there_and_lets_us_in(tmp_path: Path) -> None:
    with mesh(tmp_path, "http://127.0.0.1:1") as two:

        def found() -> str:
            return two.chat.run("doctor", "--config", str(two.chat.settings)).stdout

        assert "answers, and knows this process's key" in found()
        (tmp_path / "mesh.key").write_text("ck_wrong")
        assert "mesh.key (CREDENTIALS_INVALID)" in found()
        two.models[0].kill()
        assert "models: connection" in found()


def test_a_key_without_the_scope_is_the_operators_trouble(tmp_path: Path) -> None:
    with mesh(tmp_path, "http://127.0.0.1:1") as two:
        _without_scope(two, tmp_path)


def _without_scope(two: Mesh, folder: Path) -> None:
    made = two.chat.run(
        *("keys", "create", "--config", str(two.chat.settings), "--tenant", "mesh", "--scope", "*")
    )
    (folder / "mesh.key").write_text(made.stdout.strip())
    with two.chat.client() as client, pytest.raises(grpc.RpcError) as refused:
        client.stubs.chat.Chat(asking(), timeout=20, metadata=client.metadata)
    assert "mesh.key" in str(refused.value)
