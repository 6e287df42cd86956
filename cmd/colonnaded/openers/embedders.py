"""Opens the embedders; each loads its weights when it is first used."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

from colonnaded.settings import EmbedderSettings, Settings
from core.ports.embedder import Embedder
from core.prices import Prices
from services.embedders import Embedders


async def open_embedders(settings: Settings) -> AsyncIterator[Embedders]:
    """Every embedder of the settings, under its name there."""
    opened = {name: _open(chosen) for name, chosen in settings.embedders.items()}
    try:
        prices = {
            name: Prices(chosen.price, Decimal(0), currency=chosen.currency)
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
                    threads=chosen.threads,
                )
            )
        case "openai":
            from adapters.embedders.openai_compatible import (
                EmbeddingServer,
                OpenAICompatibleEmbedder,
            )

            assert chosen.dimensions is not None  # the settings check it
            return OpenAICompatibleEmbedder(
                EmbeddingServer(
                    chosen.base_url,
                    chosen.model,
                    chosen.dimensions,
                    api_key=chosen.api_key.resolve() if chosen.api_key else "",
                    languages=frozenset(chosen.languages),
                )
            )
