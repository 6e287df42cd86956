"""`proto export` writes what other languages' compilers take as it is."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import grpc_tools
import pytest
from grpc_tools import protoc

from colonnaded.proto_export import export

WELL_KNOWN = Path(grpc_tools.__file__).parent / "_proto"


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("exported")
    export(directory)
    return directory


def protos(directory: Path) -> list[str]:
    return [str(file.relative_to(directory)) for file in sorted(directory.rglob("*.proto"))]


def test_it_writes_the_contract_and_what_it_imports(tmp_path: Path) -> None:
    written = export(tmp_path / "new" / "folder")

    names = [str(file.relative_to(tmp_path / "new" / "folder")) for file in written]
    assert names == protos(tmp_path / "new" / "folder")
    assert "colonnade/v1/chat.proto" in names
    assert "google/api/field_behavior.proto" in names
    assert "google/rpc/error_details.proto" in names
    assert not any(name.startswith("google/protobuf/") for name in names)


def test_exporting_twice_is_exporting_once(tmp_path: Path) -> None:
    assert export(tmp_path) == export(tmp_path)


def test_protoc_takes_it(exported: Path, tmp_path: Path) -> None:
    image = tmp_path / "image.binpb"
    arguments = ["protoc", f"-I{exported}", f"-I{WELL_KNOWN}", f"--descriptor_set_out={image}"]

    assert protoc.main([*arguments, *protos(exported)]) == 0
    assert image.stat().st_size > 0


@pytest.mark.parametrize(
    ("plugin", "arguments", "wanted"),
    [
        ("protoc-gen-go", ["--go_out={out}"], "colonnade/v1/chat.pb.go"),
        ("protoc-gen-go-grpc", ["--go-grpc_out={out}"], "colonnade/v1/chat_grpc.pb.go"),
        ("protoc", ["--java_out={out}"], "com/colonnade/v1/ChatRequest.java"),
        (
            "grpc_java_plugin",
            ["--plugin=protoc-gen-grpc-java={plugin}", "--grpc-java_out={out}"],
            "com/colonnade/v1/ChatServiceGrpc.java",
        ),
    ],
    ids=["go", "go-grpc", "java", "java-grpc"],
)
def test_other_languages_take_it(
    exported: Path, tmp_path: Path, plugin: str, arguments: list[str], wanted: str
) -> None:
    compiler, found = shutil.which("protoc"), shutil.which(plugin)
    if compiler is None or found is None:
        pytest.skip(f"needs protoc and {plugin} from the system's packages")

    filled = [argument.format(out=tmp_path, plugin=found) for argument in arguments]
    ours = [name for name in protos(exported) if name.startswith("colonnade/")]
    subprocess.run([compiler, f"-I{exported}", *filled, *ours], check=True)

    assert (tmp_path / wanted).is_file()
