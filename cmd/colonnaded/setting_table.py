"""What every table of the settings has in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[float, Field(gt=0)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")]


class Table(BaseModel):
    """A table of the file. An unknown key is an error, so that a misspelt one is noticed."""

    model_config = ConfigDict(extra="forbid", frozen=True)
