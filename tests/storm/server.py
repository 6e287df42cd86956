"""One server process of a storm: python -m storm.server SETTINGS NOTEBOOK.

The real node, but for its models, its embedder and its reader of documents.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from dependency_injector import providers

from colonnaded.container import Container
from colonnaded.node import Serving, run_forever
from colonnaded.settings import load_settings
from core.catalog import Catalog, Route
from core.identifiers import DeploymentName
from fakes.document_reader import FakeDocumentReader
from fakes.embedder import FakeEmbedder
from services.embedders import Embedders
from services.models.deployments import Deployments, LiveDeployments
from storm.recorded_model import FIRST, SECOND, Notebook, RecordedModel

EMBEDDER = "fake"


def main() -> None:
    """Serve until SIGTERM."""
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    notebook = Notebook(Path(sys.argv[2]))

    def override(container: Container) -> None:
        embedders = Embedders({EMBEDDER: FakeEmbedder()}, EMBEDDER)
        container.embedders.override(providers.Object(embedders))
        container.documents.override(providers.Object(FakeDocumentReader()))
        container.deployments.override(providers.Object(_deployments(notebook)))

    run_forever(load_settings(Path(sys.argv[1])), _started, override)


def _deployments(notebook: Notebook) -> LiveDeployments:
    models = {DeploymentName(name): RecordedModel(name, notebook) for name in (FIRST, SECOND)}
    catalog = Catalog(
        {name: model.deployment for name, model in models.items()},
        {"storm": Route("storm", tuple(models))},
    )
    return LiveDeployments(Deployments(catalog, models))


def _started(node: Serving) -> None:
    print(f"listening on {node.address}", flush=True)


if __name__ == "__main__":
    main()
