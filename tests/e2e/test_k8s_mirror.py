"""Images by the registry way on a node of k3s, which pulls as its registries.yaml says."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from targets.k8s.delivery import Node

from .conftest import ROOT, Bundle, get
from .test_k8s_life import built, cluster, kubectl, opened

__all__ = ["cluster"]  # a fixture
pytestmark = [pytest.mark.cluster, pytest.mark.k3s, pytest.mark.peers, pytest.mark.timeout(400)]

GRAPH = """
bundle: pulled
version: 1.0.0
services:
  app:
    build: ./app
    user: "10001:10001"
    command: [serve, "7000"]
    expose: {http: 7000}
    healthcheck: {http: /healthz}
publish: {app: app.http}
"""


@contextmanager
def registry(place: Path, name: str) -> Iterator[str]:
    """HOST:PORT of a real docker-registry. All at one place have the same images; each logs what it is asked for."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.fail('docker-registry is missing: PATH="$(scripts/peers up):$PATH"', pytrace=False)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = {
        "version": "0.1",
        "storage": {"filesystem": {"rootdirectory": str(place / "images")}},
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    (place / f"{name}.json").write_text(json.dumps(config))
    argv = [program, "serve", str(place / f"{name}.json")]
    log = place / f"{name}.log"
    with log.open("wb") as file, subprocess.Popen(argv, stdout=file, stderr=subprocess.STDOUT) as process:
        while "listening on" not in log.read_text():
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
        yield f"127.0.0.1:{port}"
        process.terminate()


@contextmanager
def node_of_k3s(bundle: Bundle, place: Path, mirrors: dict[str, str]) -> Iterator[Bundle]:
    """The command as somebody has it on a node whose registries.yaml names these mirrors."""
    certificates = Path(os.environ["KUBECONFIG"]).parent / "certs.d"
    if not certificates.is_dir():
        pytest.skip("needs the cluster of scripts/cluster, whose containerd is told of mirrors while it runs")
    before = set(certificates.iterdir())
    told = {"mirrors": {name: {"endpoint": [f"http://{mirror}"]} for name, mirror in mirrors.items()}}
    (place / "etc/rancher/k3s").mkdir(parents=True)
    (place / "etc/rancher/k3s/registries.yaml").write_text(yaml.safe_dump(told))
    _stand_in("up", place, "--root", certificates.parent)
    try:
        env = {key: value for key, value in bundle.env.items() if key != "CONTAINERD_ADDRESS"}
        path = f"{place / 'usr/local/bin'}:{env['PATH']}"
        config = str(place / "etc/rancher/k3s/k3s.yaml")
        yield replace(bundle, env=env | {"PATH": path, "KUBECONFIG": config, "K3S_STAND_IN_ROOT": str(place)})
    finally:
        _stand_in("down", place)
    assert set(certificates.iterdir()) == before


def _stand_in(*words: str | Path) -> None:
    subprocess.run([str(ROOT / "scripts" / "k3s-stand-in"), *map(str, words)], check=True, timeout=120)


def test_a_node_of_k3s_pulls_from_the_mirror_that_its_registries_yaml_names(
    bundle: Bundle, app: Callable[[str, str], str], tmp_path: Path
) -> None:
    file, name = built(bundle, tmp_path / "graph", graph=GRAPH), app("k8-mirror", "k8s")
    with (
        registry(tmp_path, "site") as address,
        registry(tmp_path, "mirror") as mirror,
        node_of_k3s(bundle, tmp_path / "node", {address: mirror}) as node,
    ):
        try:
            node("deploy", file, "--target", "k3s", "--app", name, "--registry", f"{address}/site")
            with opened(bundle, name) as door:
                assert get(f"{door}/healthz") == "ok\n"
            pods = json.loads(kubectl("get", "pods", "--namespace", name, "--output", "json"))["items"]
            (image,) = {one["image"] for pod in pods for one in pod["spec"]["containers"]}
            assert image.startswith(f"{address}/site/pulled/")
            pulled = f'"GET /v2/{image.partition("@")[0].partition("/")[2]}/manifests/sha256:'
            assert pulled in (tmp_path / "mirror.log").read_text()
            assert pulled not in (tmp_path / "site.log").read_text()
            assert node("deploy", file, "--target", "k3s", "--app", name).out.startswith("no changes\n")
            node("remove", name, "--target", "k3s", "--volumes", "--yes")
        finally:
            containerd = Node(os.environ["CONTAINERD_ADDRESS"])
            if left := [one for one in containerd.images() if one.startswith(address)]:
                containerd.remove(*left)
