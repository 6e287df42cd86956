"""Brings the public table of prices into the data directory."""

from __future__ import annotations

import json
import os
from datetime import date
from decimal import Decimal
from pathlib import Path

from colonnaded.gateway_policies import IMPORTED
from core.price_table import written
from core.public_prices import read_public_prices

_HEAD = "# Read by `colonnade models prices import`; the next import replaces this file.\n\n"


def imported(file: Path, as_of: date, data_dir: Path) -> tuple[int, int, Path]:
    """How many models were read and how many passed over, and where they were written.

    The file is replaced at once or not at all. Raises OSError, and ValueError for what is no
    such table.
    """
    content = json.loads(file.read_text(encoding="utf-8"), parse_float=Decimal)
    if not isinstance(content, dict):
        raise ValueError("is no table of models: it must be one JSON object")
    found = read_public_prices(content, as_of)
    if not found.table.models:
        raise ValueError("holds no model that reads or writes text")
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    target = data_dir / IMPORTED
    fresh = target.with_suffix(".new")
    fresh.write_text(_HEAD + written(found.table), encoding="utf-8")
    os.replace(fresh, target)
    return len(found.table.models), len(found.skipped), target
