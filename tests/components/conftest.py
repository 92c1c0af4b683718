"""A bundle of every component whose software can be had from package managers, its images from a registry of this
machine that is asked in place of everybody's."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..e2e.conftest import ROOT
from ..parity.command import Command

GRAPH = ROOT / "fixtures" / "components"
MIRRORED = {"docker.io": "hub", "ghcr.io": "ghcr", "quay.io": "quay"}
CACHE = Path(os.environ.get("GRAPHBUNDLE_CACHE") or Path.home() / ".cache/graphbundle")


@pytest.fixture(scope="session")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, ...]]:
    """The options that name the registry for each of those that components name."""
    directory = CACHE / "components" / "registry"
    if not directory.is_dir():
        pytest.fail("the components' images are not prepared: run scripts/components-prepare", pytrace=False)
    program = shutil.which("docker-registry") or shutil.which("docker-registry", path=str(CACHE / "peers/bin"))
    if program is None:
        pytest.fail('docker-registry is missing: PATH="$(scripts/peers up):$PATH"', pytrace=False)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    place = tmp_path_factory.mktemp("mirror")
    settings = {
        "version": 0.1,
        "log": {"level": "error"},
        "storage": {"filesystem": {"rootdirectory": str(directory)}, "maintenance": {"readonly": {"enabled": True}}},
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    (place / "config.yml").write_text(json.dumps(settings))
    with (
        (place / "log").open("wb") as log,
        subprocess.Popen([program, "serve", str(place / "config.yml")], stdout=log, stderr=log) as process,
    ):
        try:
            _answers(port)
            yield tuple(
                word
                for registry, path in MIRRORED.items()
                for word in ("--mirror", f"{registry}=127.0.0.1:{port}/{path}")
            )
        finally:
            process.terminate()


def _answers(port: int) -> None:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise TimeoutError("docker-registry does not answer")


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Command:
    return Command(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def components(bundle: Command, mirror: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("components") / "components.tar"
    bundle("build", GRAPH, *mirror, "-o", file)
    return file
