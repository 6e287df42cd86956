"""The scope of each method, which the check for breaking changes does not see."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from colonnade.v1 import options_pb2

SCOPES = {
    "AdminService.CancelTurn": "admin.write",
    "AdminService.GetBudget": "admin.read",
    "AdminService.GetSpending": "admin.read",
    "AdminService.GetTurnStatus": "admin.read",
    "AdminService.ListBudgets": "admin.read",
    "AdminService.ListTurns": "admin.read",
    "AdminService.ReloadConfig": "admin.config",
    "ChatService.CancelChat": "chat.write",
    "ChatService.Chat": "chat.write",
    "ChatService.GetTurn": "chat.read",
    "ChatService.ResumeChat": "chat.read",
    "ChatService.StreamChat": "chat.write",
    "ConversationService.CreateConversation": "conversations.write",
    "ConversationService.DeleteConversation": "conversations.write",
    "ConversationService.ExportConversation": "conversations.read",
    "ConversationService.GetConversation": "conversations.read",
    "ConversationService.ListConversations": "conversations.read",
    "ConversationService.ListMessages": "conversations.read",
    "ConversationService.UpdateConversation": "conversations.write",
    "KnowledgeService.CreateCollection": "knowledge.write",
    "KnowledgeService.DeleteCollection": "knowledge.write",
    "KnowledgeService.DeleteDocument": "knowledge.write",
    "KnowledgeService.GetCollection": "knowledge.read",
    "KnowledgeService.GetDocument": "knowledge.read",
    "KnowledgeService.IngestDocuments": "knowledge.write",
    "KnowledgeService.ListCollections": "knowledge.read",
    "KnowledgeService.ListDocuments": "knowledge.read",
    "KnowledgeService.Reindex": "knowledge.write",
    "ModelGatewayService.CountPrompt": "mesh.delegate",
    "ModelGatewayService.RunGeneration": "mesh.delegate",
    "ModelGatewayService.RunRerank": "mesh.delegate",
    "ModelService.CountTokens": "models.read",
    "ModelService.Embed": "models.embed",
    "ModelService.ExplainRouting": "models.read",
    "ModelService.Generate": "models.generate",
    "ModelService.GetModelHealth": "models.read",
    "ModelService.ListModels": "models.read",
    "ModelService.Rerank": "models.rerank",
    "ModelService.StreamGenerate": "models.generate",
    "RetrievalService.BuildContext": "retrieval.search",
    "RetrievalService.Search": "retrieval.search",
}


def test_every_method_has_the_scope_that_was_agreed(contract_files: list[str]) -> None:
    found = {
        f"{service.name}.{method.name}": method.GetOptions().Extensions[options_pb2.scope]
        for module in contract_files
        for service in import_module(module).DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }
    assert found == SCOPES


def test_the_options_number_is_open_to_the_world() -> None:
    assert options_pb2.SCOPE_FIELD_NUMBER not in range(50_000, 100_000)


def test_every_file_of_the_contract_has_stubs(contract_files: list[str]) -> None:
    protos = Path(__file__).parents[2] / "proto" / "colonnade" / "v1"
    files = sorted(f"colonnade.v1.{p.stem}_pb2" for p in protos.glob("*.proto"))
    assert contract_files == files
