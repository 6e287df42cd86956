"""Clients that we did not write: generated stubs alone, and a tool that knows only reflection."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RequestInfo
from google.rpc.status_pb2 import Status

from colonnade.v1.chat_pb2 import ChatRequest
from colonnade.v1.chat_pb2_grpc import ChatServiceStub
from colonnade.v1.messages_pb2 import Message, Part
from fakes.chat_server import ChatServerDouble, Silence, Stream
from mesh.server_process import ServerProcess, upstream_settings

BUF = str(Path(sys.executable).with_name("buf"))
QUESTION = ChatRequest(message=Message(parts=[Part(text="Hi?")]))
AS_JSON = '{"message": {"parts": [{"text": "Hi?"}]}}'


async def test_generated_stubs_are_enough(tmp_path: Path) -> None:
    async with ChatServerDouble(Stream.of("Hel", "lo.")) as upstream:
        await asyncio.to_thread(_with_stubs, tmp_path, upstream)


def _with_stubs(folder: Path, upstream: ChatServerDouble) -> None:
    with (
        ServerProcess(folder, upstream_settings(upstream.url)) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        stub = ChatServiceStub(channel)
        events = [
            event for message in stub.StreamChat(QUESTION, timeout=10) for event in message.events
        ]
        assert "".join(event.delta.text for event in events) == "Hello."
        assert events[-1].HasField("finished")
        with pytest.raises(grpc.RpcError) as refused:
            stub.Chat(ChatRequest(), timeout=10)
        trailers = {item.key: item.value for item in refused.value.trailing_metadata() or ()}
        trailer = trailers["grpc-status-details-bin"]
        assert isinstance(trailer, bytes)
        status = Status.FromString(trailer)
        info, wrong, request = ErrorInfo(), BadRequest(), RequestInfo()
        for detail, message in zip(status.details, (info, wrong, request), strict=True):
            assert detail.Unpack(message)
        assert (info.reason, info.domain) == ("INVALID_FIELD", "colonnade")
        assert [violation.field for violation in wrong.field_violations] == ["message.parts"]
        server.wait_for_call(request.request_id)
        upstream.reply = Silence()
        with pytest.raises(grpc.RpcError) as late:
            stub.Chat(QUESTION, timeout=0.3)
        assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_reflection_is_enough(tmp_path: Path) -> None:
    async with ChatServerDouble(Stream.of("Hel", "lo.")) as upstream:
        await asyncio.to_thread(_with_reflection, tmp_path, upstream)


def _with_reflection(folder: Path, upstream: ChatServerDouble) -> None:
    with ServerProcess(folder, upstream_settings(upstream.url)) as server:

        def curl(*arguments: str) -> subprocess.CompletedProcess[str]:
            plain = ["curl", "--protocol", "grpc", "--http2-prior-knowledge"]
            return subprocess.run(
                [BUF, *plain, *arguments], capture_output=True, text=True, timeout=30, check=False
            )

        url = f"http://{server.address}"
        listed = curl("--list-services", url).stdout.split()
        assert "colonnade.v1.ChatService" in listed
        assert "grpc.health.v1.Health" in listed
        models = json.loads(curl("-d", "{}", f"{url}/colonnade.v1.ModelService/ListModels").stdout)
        assert [model["name"] for model in models["models"]][-1] == "paced"
        streamed = curl("-d", AS_JSON, f"{url}/colonnade.v1.ChatService/StreamChat").stdout
        events = [event for message in _documents(streamed) for event in message["events"]]
        assert "".join(event.get("delta", {}).get("text", "") for event in events) == "Hello."
        assert events[-1]["finished"]["reason"] == "FINISH_REASON_STOP"
        refused = curl("-d", "{}", f"{url}/colonnade.v1.ChatService/Chat")
        assert refused.returncode != 0
        told = json.loads(refused.stderr)
        assert told["code"] == "invalid_argument"
        kinds = [detail["type"].removeprefix("google.rpc.") for detail in told["details"]]
        assert kinds == ["ErrorInfo", "BadRequest", "RequestInfo"]


def _documents(text: str) -> list[dict[str, list[dict[str, dict[str, str]]]]]:
    """JSON documents, one after the other."""
    found, decoder, at = [], json.JSONDecoder(), 0
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        document, at = decoder.raw_decode(text, at)
        found.append(document)
    return found
