"""What this process hosts, and where the rest is: the table `mesh`."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated, Self

from pydantic import BeforeValidator, model_validator

from colonnaded.secrets import SecretReference
from colonnaded.setting_table import Table


class Target(Enum):
    """What can be hosted apart. The services of operators are hosted everywhere."""

    CHAT = "chat"
    MODELS = "models"
    RETRIEVAL = "retrieval"
    KNOWLEDGE = "knowledge"


def _listed(value: object) -> object:
    return (value,) if isinstance(value, str) else value


class MeshSettings(Table):
    """`targets` is what this process hosts; none named is all.

    `models` is where the models are hosted if not here, and `key` what this process is known by
    there. `tls` with the files is how it is spoken to.
    """

    targets: tuple[Target, ...] = ()
    models: Annotated[tuple[str, ...], BeforeValidator(_listed)] = ()
    key: SecretReference | None = None
    tls: bool = False
    ca_file: Path | None = None
    certificate: Path | None = None
    private_key: Path | None = None

    def hosts(self, *targets: Target) -> bool:
        """Whether this process hosts one of these."""
        return not self.targets or any(target in self.targets for target in targets)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.certificate is None) != (self.private_key is None):
            raise ValueError("certificate and private_key go together: set both, or neither")
        if not self.tls and (self.ca_file or self.certificate):
            raise ValueError("ca_file, certificate and private_key are of use with tls = true only")
        if self.models and self.key is None:
            raise ValueError(
                'models needs key = {env = "NAME"} or {file = "PATH"}, made with: colonnade keys '
                "create --scope mesh.delegate"
            )
        _check_addresses(self.models)
        return self


def _check_addresses(addresses: tuple[str, ...]) -> None:
    from adapters.grpc.clients.targets import target_of

    if addresses:
        try:
            target_of(addresses)
        except ValueError as error:
            raise ValueError(f"models: {error}") from None


def check_mesh(mesh: MeshSettings) -> None:
    """Whether all that is not hosted here can be found. Raises ValueError with the key."""
    if not mesh.hosts(Target.MODELS) and not mesh.models:
        raise ValueError(
            "mesh.models: is where the models are, such as dns:///models:7600, since this process "
            "does not host them (mesh.targets)"
        )
