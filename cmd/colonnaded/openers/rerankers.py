"""Opens the rerankers; each connects, or loads its embedder's weights, when it is first used."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal

from colonnaded.reranker_settings import RerankerSettings
from colonnaded.settings import Settings
from core.identifiers import Seconds
from core.ports.reranker import Reranker
from core.prices import Prices
from services.embedders import Embedders
from services.models.reranking import RerankerEntry, Rerankers


async def open_rerankers(settings: Settings, embedders: Embedders) -> AsyncIterator[Rerankers]:
    """Every reranker of the settings, under its name there and in their order.

    Raises MissingSecret, and OSError where a certificate's file can't be used.
    """
    entries = [
        RerankerEntry(
            name,
            _open(chosen, embedders),
            Prices(
                chosen.price_of_tokens,
                Decimal(0),
                currency=chosen.currency,
                request=chosen.price_request,
            ),
            Seconds(chosen.timeout_seconds),
        )
        for name, chosen in settings.rerankers.items()
    ]
    try:
        yield Rerankers(entries)
    finally:
        for entry in entries:
            await entry.reranker.close()


def _open(chosen: RerankerSettings, embedders: Embedders) -> Reranker:
    if not chosen.is_remote:
        from adapters.rerankers.embedded import EmbeddedReranker

        return EmbeddedReranker(embedders.get(chosen.embedder))
    from adapters.rerankers.remote import RemoteReranker
    from adapters.rerankers.rerank_server import FORMATS, RerankServer

    return RemoteReranker(
        RerankServer(
            base_url=chosen.base_url,
            model=chosen.model,
            format=FORMATS[chosen.format],
            longest_text=chosen.longest_text,
            forward_trace=chosen.forward_trace,
            **chosen.reach(),
        )
    )
