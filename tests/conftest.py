"""What every test may use."""

from __future__ import annotations

import os
import signal

# Before gRPC is imported: its handlers around fork() can kill a child that a test starts.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
if "PYTEST_XDIST_WORKER" in os.environ:
    # Before numpy is imported: threads of two workers that spin for each other's cores stand still.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from servers.nats import stop_shared_nats
from servers.postgres import postgres_server, postgres_template, postgres_url

__all__ = ["postgres_server", "postgres_template", "postgres_url"]

# Time limits for single examples only tell how busy the machine is.
settings.register_profile("dev", deadline=None, max_examples=50)
settings.register_profile(
    "ci",
    deadline=None,
    max_examples=200,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


def pytest_configure() -> None:
    """Who is told to end does so as after Ctrl-C: servers of the tests must not outlive them."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_sessionfinish() -> None:
    """Nothing of a run stays: workers are ended without what Python does at exit."""
    stop_shared_nats()


@pytest.hookimpl(trylast=True)  # once every folder has marked its own
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that start servers or measure: they take longest.

    Workers get a piece of the list each, and steal from each other's ends. So these are run by
    the first, one after another, as long as there is anything else to do.
    """
    items.sort(key=lambda item: not _wants_the_machine(item))


def _wants_the_machine(item: pytest.Item) -> bool:
    return any(item.get_closest_marker(name) for name in ("mesh", "clocked"))


@pytest.fixture(scope="session")
def data_set() -> Callable[[str], Path]:
    """Finds the folder of a data set by its name; skips the test where it is not there.

    Data sets are kept outside the repository, in the folder that COLONNADE_DATA names.
    """

    def find(name: str) -> Path:
        root = os.environ.get("COLONNADE_DATA")
        if not root:
            pytest.skip(f"data set {name!r}: COLONNADE_DATA names no folder")
        folder = Path(root) / name
        if not folder.is_dir():
            pytest.skip(f"data set {name!r}: not in COLONNADE_DATA")
        return folder

    return find
