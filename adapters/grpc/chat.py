"""ChatService: translation, and nothing else."""

from __future__ import annotations

from adapters.grpc import chat_requests
from adapters.grpc.turn_messages import turn as turn_message
from colonnade.v1 import chat_pb2, turns_pb2
from core.call import Call
from services.chat.chat import Chat
from services.turns.reading import Batches


class ChatServicer:
    """One function a method of the contract."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat

    async def Chat(self, request: chat_pb2.ChatRequest, call: Call) -> turns_pb2.Turn:
        """The turn once it has ended."""
        return turn_message(await self._chat.answer(call, chat_requests.request(request)))

    def StreamChat(self, request: chat_pb2.ChatRequest, call: Call) -> Batches:
        """The turn's events from the first."""
        return self._chat.ask(call, chat_requests.request(request))

    def ResumeChat(self, request: chat_pb2.ResumeChatRequest, call: Call) -> Batches:
        """The turn's events after a given one."""
        turn = chat_requests.turn_id(request.turn_id)
        return self._chat.resume(
            call,
            turn,
            request.after_sequence,
            accepts_retractions=request.accept_retractions,
        )

    async def GetTurn(self, request: chat_pb2.GetTurnRequest, call: Call) -> turns_pb2.Turn:
        """Where the turn stands."""
        turn, request_id = chat_requests.turn_or_request(request)
        view = await self._chat.turn(call, turn, request_id, with_events=request.include_events)
        return turn_message(view)

    async def CancelChat(self, request: chat_pb2.CancelChatRequest, call: Call) -> turns_pb2.Turn:
        """Stop the turn."""
        turn, request_id = chat_requests.turn_or_request(request)
        return turn_message(await self._chat.cancel(call, turn, request_id))
