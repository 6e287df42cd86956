"""How each deployment does at this moment, as routing is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.identifiers import DeploymentName, Seconds


@dataclass(frozen=True, slots=True)
class Rest:
    """A deployment is left alone for `again_in` seconds because of `cause`.

    `must`: calling it earlier is pointless (its key is refused, it named the time itself); else
    it may be called as the last resort. `probed`: a call that tries it is under way.
    """

    cause: str
    again_in: Seconds
    must: bool = False
    probed: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a deployment; None is unknown.

    `outstanding` calls run or wait. `first_token` is the usual wait for the first piece
    (exponentially weighted), `slow_first_token` the 95th percentile of late ones.
    """

    outstanding: int = 0
    first_token: Seconds | None = None
    slow_first_token: Seconds | None = None
    rest: Rest | None = None


FRESH = Standing()
"""Nothing is known yet, and nothing stands against it."""

Standings = Mapping[DeploymentName, Standing]
