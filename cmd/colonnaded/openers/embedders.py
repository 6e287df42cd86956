"""Opens the embedders; each loads its weights when it is first used."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from colonnaded.embedder_settings import EmbedderSettings
from colonnaded.settings import Settings
from core.identifiers import Seconds
from core.ports.embedder import Embedder
from core.prices import Prices
from core.resilience.retries import RetryPolicy
from services.embedders import Embedders

if TYPE_CHECKING:
    from adapters.embedders.embedding_server import EmbeddingServer


async def open_embedders(settings: Settings) -> AsyncIterator[Embedders]:
    """Every embedder of the settings, under its name there."""
    opened = {name: _open(chosen) for name, chosen in settings.embedders.items()}
    try:
        prices = {
            name: Prices(chosen.price_of_tokens, Decimal(0), currency=chosen.currency)
            for name, chosen in settings.embedders.items()
        }
        yield Embedders(opened, settings.retrieval.embedder, prices)
    finally:
        for embedder in opened.values():
            await embedder.close()


def _open(chosen: EmbedderSettings) -> Embedder:
    match chosen.adapter:
        case "minilm":
            from adapters.embedders.minilm_onnx import MiniLmFiles, minilm_onnx

            files = MiniLmFiles(weights=Path(chosen.model)) if chosen.model else None
            return minilm_onnx(threads=chosen.threads, files=files)
        case "e5":
            from adapters.embedders.e5_nano import e5_nano

            weights = Path(chosen.model) if chosen.model else None
            return e5_nano(threads=chosen.threads, weights=weights)
        case "sentence-transformers":
            from adapters.embedders.sentence_transformers import (
                PACKAGED,
                SentenceTransformerModel,
                sentence_transformer,
            )

            return sentence_transformer(
                SentenceTransformerModel(
                    chosen.model or PACKAGED,
                    languages=frozenset(chosen.languages),
                    query_prefix=chosen.query_prefix,
                    document_prefix=chosen.document_prefix,
                    threads=chosen.threads,
                )
            )
        case "openai":
            from adapters.embedders.openai_compatible import OpenAICompatibleEmbedder

            return OpenAICompatibleEmbedder(_server(chosen))


def _server(chosen: EmbedderSettings) -> EmbeddingServer:
    from adapters.embedders.batching import BatchLimits
    from adapters.embedders.embedding_server import EmbeddingServer

    assert chosen.dimensions is not None  # the settings check it
    return EmbeddingServer(
        chosen.base_url,
        chosen.model,
        chosen.dimensions,
        name=chosen.name,
        languages=frozenset(chosen.languages),
        query_prefix=chosen.query_prefix,
        document_prefix=chosen.document_prefix,
        batch=BatchLimits(chosen.batch_texts, 200_000),
        timeout=Seconds(chosen.timeout_seconds),
        connections=2 * chosen.batches_at_once,
        at_once=chosen.batches_at_once,
        retry=RetryPolicy(rounds=chosen.attempts),
        longest_text=chosen.longest_text,
        shorten=chosen.shorten,
        **chosen.reach(),
    )
