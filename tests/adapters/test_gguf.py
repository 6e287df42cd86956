from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.models.gguf import (
    TOKENS_KEY,
    TYPES_KEY,
    NotGguf,
    control_tokens,
    read_header,
)
from adapters.models.weights import find_weights

KEYS = {TOKENS_KEY, TYPES_KEY, "general.name", "general.scale"}


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def header(*pairs: bytes, version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, 2, len(pairs)) + b"".join(pairs)


NAME = text("general.name") + struct.pack("<I", 8) + text("Leuchtturm")
SCALE = text("general.scale") + struct.pack("<If", 6, 0.5)
OTHER = text("general.count") + struct.pack("<IQ", 10, 7)
FLAGS = text("general.flags") + struct.pack("<IIQ", 9, 7, 3) + b"\1\0\1"
TOKENS = (
    text(TOKENS_KEY)
    + struct.pack("<IIQ", 9, 8, 3)
    + text("<|im_end|>")
    + text("lamp")
    + text("<unused>")
)
TYPES = text(TYPES_KEY) + struct.pack("<IIQ3i", 9, 5, 3, 3, 1, 4)
WHOLE = header(NAME, OTHER, FLAGS, TOKENS, SCALE, TYPES)


def read(folder: Path, content: bytes) -> dict[str, object]:
    file = folder / "model.gguf"
    file.write_bytes(content)
    return read_header(file, KEYS)


def test_what_was_asked_for_is_found(tmp_path: Path) -> None:
    found = read(tmp_path, WHOLE + b"tensors")
    assert found["general.name"] == "Leuchtturm"
    assert found["general.scale"] == 0.5
    assert "general.count" not in found
    assert control_tokens(found) == {"<|im_end|>"}


def test_a_file_without_a_vocabulary_has_no_control_tokens(tmp_path: Path) -> None:
    assert control_tokens(read(tmp_path, header(NAME))) == frozenset()


def test_the_packaged_model_has_its_control_tokens() -> None:
    found = control_tokens(read_header(find_weights(None), KEYS))
    assert {"<|im_start|>", "<|im_end|>", "<|endoftext|>"} <= found
    assert len(found) < 100


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\3\4",
        header(version=1),
        header(version=99),
        b"GGUF" + struct.pack("<IQQ", 3, 0, 2**40),
        header(text("k") + struct.pack("<I", 77)),
        header(text("k") + struct.pack("<IIQ", 9, 9, 1)),
        header(text("k") + struct.pack("<IIQ", 9, 8, 2**60)),
        header(struct.pack("<Q", 2**60)),
    ],
    ids=repr,
)
def test_what_is_not_understood_is_told(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(NotGguf):
        read(tmp_path, content)


@pytest.mark.parametrize("kept", range(4, len(WHOLE), 7))
def test_a_file_that_is_cut_is_told(tmp_path: Path, kept: int) -> None:
    with pytest.raises(NotGguf):
        read(tmp_path, WHOLE[:kept])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, len(WHOLE) - 1), byte=st.integers(0, 255))
def test_a_damaged_file_is_read_or_told(tmp_path: Path, at: int, byte: int) -> None:
    damaged = bytearray(WHOLE)
    damaged[at] = byte
    with suppress(NotGguf):
        read(tmp_path, bytes(damaged))
