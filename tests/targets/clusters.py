"""The Kubernetes adapter as a subject of the conformance suite, on the cluster that KUBECONFIG names."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Sequence

import pytest
from engines import free_port
from images import Blobs, image

from targets import tar
from targets.k8s.api import Api
from targets.k8s.cluster import Settings
from targets.k8s.delivery import Node
from targets.k8s.target import KubernetesTarget

FOREIGN = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}}
SECRETLESS = ("Pod", "Service", "ConfigMap", "PersistentVolumeClaim", "Deployment", "StatefulSet", "Job", "Event")


def settings() -> Settings:
    """Of the test cluster, whose only node's containerd is this machine's."""
    socket = os.environ.get("CONTAINERD_ADDRESS")
    if not os.environ.get("KUBECONFIG") or not socket:
        pytest.fail('no cluster: run scripts/cluster up and eval "$(scripts/cluster env)"', pytrace=False)
    return Settings(sockets=(socket,))


def set_quota(api: Api, namespace: str, **hard: str) -> None:
    """The quota `small`, which counts when this returns: until a controller has seen it, it refuses nothing."""
    path = f"/api/v1/namespaces/{namespace}/resourcequotas"
    body = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "small"}, "spec": {"hard": hard}}
    if api.get("ResourceQuota", "small", namespace) is None:
        api._call("POST", path, "setting a quota", body=body)
    else:
        api._call("PATCH", f"{path}/small", "giving more", body=body, media_type="application/merge-patch+json")
    ends = time.monotonic() + 60
    while (quota := api.get("ResourceQuota", "small", namespace)) is None or (
        quota.get("status", {}).get("hard") != quota["spec"]["hard"]
    ):
        if time.monotonic() > ends:
            raise AssertionError(f"the quota does not count: {quota}")
        time.sleep(0.05)


class InCluster:
    """The adapter on a real cluster, under an app name and a namespace of its own."""

    def __init__(self, program: bytes) -> None:
        made = settings()
        self.target = KubernetesTarget(made)
        self.api: Api = self.target.api
        self.node = Node(*made.sockets)
        self.app = f"k8-{uuid.uuid4().hex[:6]}"
        self.blobs = Blobs()
        files = [tar.directory("tmp", mode=0o1777), tar.file("server", program, mode=0o755)]
        mark = [tar.file("app", self.app.encode())]  # so that no two tests' images are the same
        config = {"Entrypoint": ["/server"], "Cmd": ["serve", "8000"]}
        self.image = image(self.blobs, "app", [files, mark], config)
        self.config = self.blobs.add("text/plain", b"language: en\n")
        self.port = free_port()

    def stop(self, app: str, service: str) -> None:
        """As `kubectl scale` would."""
        for kind in ("Deployment", "StatefulSet"):
            if self.api.get(kind, service, app) is not None:
                self.api.scale(kind, app, service, 0)
        for pod in self.api.list("Pod", app, labels={"dev.graphbundle.node": service}):
            self.api.delete("Pod", pod["metadata"]["name"], app)

    def plant(self, app: str) -> str:
        self.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": app}}, app)
        spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
        self.api.create({**FOREIGN, "spec": spec}, app)
        return "data"

    def planted(self, app: str) -> bool:
        there = self.api.get("PersistentVolumeClaim", "data", app)
        return there is not None and "labels" not in there["metadata"]

    def uproot(self, app: str) -> None:
        self.api.delete("PersistentVolumeClaim", "data", app)
        self.api.delete("Namespace", app)

    def shown(self, app: str) -> str:
        shown: list[object] = []
        for kind in SECRETLESS:
            for one in self.api.list(kind, app):
                for container in ((one.get("spec") or {}).get("containers")) or ():
                    container.pop("env", None)
                shown.append(one)
        shown += [one["metadata"] for one in self.api.list("Secret", app, metadata_only=True)]
        return json.dumps(shown, ensure_ascii=False)

    def remains(self, app: str) -> Sequence[str]:
        found = [f"namespace {app}"] if self.api.get("Namespace", app) is not None else []
        if found:
            found += [f"{kind} {one['metadata']['name']}" for kind, one in self.api.in_namespace(app).objects]
        repository = self.image.reference.rpartition(":")[0]
        digest = str(self.image.platforms[0].manifest.digest)
        images = self.node.images()
        return found + [name for name in images if name.startswith(repository) and images[name][0] == digest]
