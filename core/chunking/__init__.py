"""From a document's blocks to its text and the chunks that are retrieved."""

from __future__ import annotations

from core.chunking.chunks import chunk
from core.chunking.layout import Measure
from core.chunking.policy import ChunkPolicy, estimate_tokens

__all__ = ["ChunkPolicy", "Measure", "chunk", "estimate_tokens"]
