"""What could keep a node from working on this machine, looked at without starting one."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from adapters.embedders.weights import Missing
from colonnaded.data_directory import owners
from colonnaded.doctor_mesh import examine_mesh
from colonnaded.doctor_stores import examine_stores
from colonnaded.embedder_settings import EmbedderSettings
from colonnaded.finding import Finding, Standing
from colonnaded.mesh_settings import Target
from colonnaded.openers.prompts import open_prompts
from colonnaded.secrets import MissingSecret, SecretReference
from colonnaded.settings import DeploymentSettings, Settings, SettingsError

_LIBRARIES = ("grpcio", "protobuf", "pydantic", "faiss-cpu", "tantivy", "onnxruntime", "xllamacpp")
_FEW_BYTES = 1 << 30
_OLDEST_PYTHON = (3, 11)


def examine(settings: Settings) -> list[Finding]:
    """Every finding, in the order in which a start would meet them."""
    return [
        _python(),
        *_libraries(),
        _prompts(settings),
        _data_directory(settings),
        *examine_stores(settings),
        *examine_mesh(settings),
        _disk(settings),
        _port(settings),
        *(f for name, e in settings.embedders.items() for f in _embedder(settings, name, e)),
        *(f for name, d in _opened(settings) for f in _deployment(name, d)),
    ]


def _python() -> Finding:
    number = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < _OLDEST_PYTHON:
        return Finding("python", Standing.BROKEN, number, "use Python 3.11 or newer")
    return Finding("python", Standing.GOOD, number)


def _libraries() -> Iterator[Finding]:
    for name in _LIBRARIES:
        try:
            yield Finding(name, Standing.GOOD, version(name))
        except PackageNotFoundError:
            remedy = 'pip install "colonnade-server[embedded]"'
            yield Finding(name, Standing.WARNING, "is not installed", remedy)


def _prompts(settings: Settings) -> Finding:
    try:
        catalog = open_prompts(settings)
    except SettingsError as error:
        return Finding("prompts", Standing.BROKEN, "; ".join(error.problems), "mend the template")
    return Finding("prompts", Standing.GOOD, ", ".join(sorted(catalog.current)))


def _data_directory(settings: Settings) -> Finding:
    subject, root = "data directory", settings.data_dir
    parent = next(p for p in (root, *root.absolute().parents) if p.exists())
    if not os.access(parent, os.W_OK):
        return Finding(subject, Standing.BROKEN, f"{root} is not writable", "set data_dir")
    if not root.exists():
        return Finding(subject, Standing.GOOD, f"{root} will be made")
    replicas = settings.server.replicas
    users = owners(root, replicas)
    if not users:
        return Finding(subject, Standing.GOOD, f"{root} is free")
    detail = f"{root} is in use by {', '.join(users)}: {len(users)} of {replicas} replicas"
    if len(users) < replicas:
        return Finding(subject, Standing.GOOD, detail)
    return Finding(subject, Standing.WARNING, detail, "fine if that is your server")


def _disk(settings: Settings) -> Finding:
    root = settings.data_dir.absolute()
    place = next(p for p in (root, *root.parents) if p.exists())
    free = shutil.disk_usage(place).free
    detail = f"{free / (1 << 30):.1f} GiB free at {place}"
    if free < _FEW_BYTES:
        return Finding("disk", Standing.WARNING, detail, "make room, or set data_dir")
    return Finding("disk", Standing.GOOD, detail)


def _port(settings: Settings) -> Finding:
    host, _, port = settings.server.address.rpartition(":")
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            host.strip("[]"), int(port), type=socket.SOCK_STREAM
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except ValueError:
        remedy = "set server.address to host:port"
        return Finding("address", Standing.BROKEN, settings.server.address, remedy)
    except OSError as error:
        detail = f"{settings.server.address}: {error.strerror}"
        return Finding("address", Standing.WARNING, detail, "fine if your server listens there")
    return Finding("address", Standing.GOOD, f"{settings.server.address} is free")


def _embedder(settings: Settings, name: str, chosen: EmbedderSettings) -> Iterator[Finding]:
    """What the embedder lacks. Only the default one's lack keeps a node from its work."""
    subject = f"embedder {name}"
    broken = Standing.BROKEN if settings.retrieval.embedder == name else Standing.WARNING
    lacking = list(_missing(chosen))
    for what, remedy in lacking:
        yield Finding(subject, broken, f"{what} is missing", remedy)
    if not lacking:
        wrong = [finding for secret in chosen.secrets for finding in _secret(subject, secret)]
        yield from wrong or [Finding(subject, Standing.GOOD, "ready")]


def _missing(chosen: EmbedderSettings) -> Iterator[tuple[str, str]]:
    """What the embedder needs and does not find, each with how to get it."""
    lacking: Sequence[Missing] = ()
    match chosen.adapter:
        case "minilm":
            from adapters.embedders import minilm_onnx

            weights = Path(chosen.model) if chosen.model else None
            lacking = minilm_onnx.describe_missing(minilm_onnx.MiniLmFiles(weights=weights))
        case "e5":
            from adapters.embedders import e5_nano

            lacking = e5_nano.describe_missing(Path(chosen.model) if chosen.model else None)
        case "sentence-transformers":
            from adapters.embedders import sentence_transformers as st

            model = st.SentenceTransformerModel(chosen.model or st.PACKAGED)
            lacking = st.describe_missing(model)
        case "openai":
            pass  # whether a server answers is seen when it is asked
    for one in lacking:
        yield one.what, one.remedy


def _opened(settings: Settings) -> Iterator[tuple[str, DeploymentSettings]]:
    """The deployments that this process opens itself."""
    if settings.mesh.hosts(Target.MODELS):
        yield from settings.deployments.items()


def _deployment(name: str, chosen: DeploymentSettings) -> Iterator[Finding]:
    subject = f"deployment {name}"
    if chosen.adapter == "llamacpp":
        from adapters.models.weights import REMEDY, find_weights
        from core.generation import ModelError

        try:
            find_weights(Path(chosen.model) if chosen.model else None)
        except ModelError as missing:
            yield Finding(subject, Standing.WARNING, missing.message, REMEDY)
            return
    broken = [finding for secret in chosen.secrets for finding in _secret(subject, secret)]
    yield from broken or [Finding(subject, Standing.GOOD, "ready")]


def _secret(subject: str, reference: SecretReference | None) -> list[Finding]:
    try:
        if reference is not None:
            reference.resolve()
    except MissingSecret as missing:
        return [Finding(subject, Standing.BROKEN, str(missing), "set it, or mend the reference")]
    return []
