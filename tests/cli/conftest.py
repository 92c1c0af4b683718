"""What several verbs are tried with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bundler.cli.main import run

GRAPH = "bundle: plain\nversion: 1.0.0\nservices:\n  web: {image: 'oci:./layout', expose: {http: 80}}\n"
# A target of somebody else's, found as every other: the reference one, which keeps its things in a file.
PLUGIN = """\
import atexit, os, pathlib, pickle
from targets.memory import MemoryTarget

FILE = pathlib.Path(os.environ["KEPT_FILE"])

def create(options):
    target = MemoryTarget()
    target.name = "kept"
    target.foreign = set(os.environ.get("KEPT_FOREIGN", "").split())
    if FILE.exists():
        target._apps = pickle.loads(FILE.read_bytes())
    atexit.register(lambda: FILE.write_bytes(pickle.dumps(target._apps)))
    return target
"""


@pytest.fixture
def kept_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The target "kept", for processes of their own; where its things are."""
    for variable in ("XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    plugin = tmp_path / "plugin"
    info = plugin / "kept-1.dist-info"
    info.mkdir(parents=True)
    (plugin / "kept.py").write_text(PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: kept\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[bundler.targets]\nkept = kept:create\n")
    monkeypatch.setenv("PYTHONPATH", f"{plugin}:{Path(__file__).parents[2]}")
    monkeypatch.setenv("KEPT_FILE", str(tmp_path / "kept.pickle"))
    return tmp_path / "kept.pickle"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def bundle(home: Path) -> Path:
    """A bundle of a graph with configs only, so that no engine is needed."""
    write_layout(home / "graph" / "layout")
    (home / "graph" / "bundle.yaml").write_text(GRAPH)
    file = home / "plain.tar"
    assert run(["build", str(home / "graph"), "-o", str(file), "--detached"]) == 0
    return file


def write_layout(directory: Path, architectures: tuple[str, ...] = ("amd64",)) -> None:
    """An OCI layout with one image of one empty layer."""
    import hashlib

    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def put(data: bytes, media_type: str) -> dict[str, object]:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    layer = put(bytes(1024), "application/vnd.oci.image.layer.v1.tar")
    entries = []
    for architecture in architectures:
        platform = {"os": "linux", "architecture": architecture}
        config = platform | {"rootfs": {"type": "layers", "diff_ids": [layer["digest"]]}}
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": put(json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json"),
            "layers": [layer],
        }
        entry = put(json.dumps(manifest).encode(), str(manifest["mediaType"]))
        entries.append(entry | {"platform": platform})
    kind = "application/vnd.oci.image.index.v1+json"
    if len(entries) > 1:
        entries = [put(json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": entries}).encode(), kind)]
    index = {"schemaVersion": 2, "manifests": entries}
    (directory / "index.json").write_text(json.dumps(index))
    (directory / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
