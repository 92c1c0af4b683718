"""The targets, as a test gets at them: one class each, and nothing of a target anywhere else in the suite but the
answers beside the rows."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bundler import discovery

from ..e2e.conftest import docker
from .command import Command


class Place(ABC):
    """`aliases` are the target's other entry points, `marks` the markers of its tests. It answers as the target `like`
    where a row says nothing else. `options` go with every verb that has a target. `usual` are notes that say nothing
    about a row (see `row.alike`). `own_environment` are variables that are there whatever the graph says."""

    name: str
    marks: tuple[str, ...]
    aliases: tuple[str, ...] = ()
    like: str | None = None
    options: tuple[str, ...] = ()
    usual: tuple[str, ...] = ()
    own_environment: frozenset[str] = frozenset({"HOME", "HOSTNAME", "PATH"})

    @property
    def names(self) -> tuple[str, ...]:
        """Under which its answers may stand, its own first."""
        return (self.name,) if self.like is None else (self.name, self.like)

    @abstractmethod
    def missing(self) -> str | None:
        """What this machine lacks to use the target, and how to get it."""

    @abstractmethod
    def has_gpus(self) -> bool:
        """Whether rows about machines without GPUs say nothing here."""

    @abstractmethod
    @contextmanager
    def door(self, bundle: Command, app: str) -> Iterator[str]:
        """The address of the app's first front door, while it is open."""

    @abstractmethod
    def traces(self, app: str) -> set[str]:
        """All that is there of the app."""

    @abstractmethod
    def image(self, app: str, node: str) -> str:
        """The digest by which the target runs the node's image: of its config or its manifest."""


class _Engine(Place):
    """What docker and compose have in common."""

    marks = ("engine",)

    def missing(self) -> str | None:
        try:
            answers = subprocess.run(["docker", "info"], capture_output=True).returncode == 0
        except FileNotFoundError:
            answers = False
        return None if answers else "no Docker engine answers: run scripts/engine up"

    def has_gpus(self) -> bool:
        return "nvidia" in docker("info", "--format", "{{json .Runtimes}}")

    @contextmanager
    def door(self, bundle: Command, app: str) -> Iterator[str]:
        yield bundle("open", app, "--target", self.name, *self.options, "--print").out.split()[-1]

    def traces(self, app: str) -> set[str]:
        named = {
            *docker("ps", "-a", "--format", "{{.Names}}").split(),
            *docker("network", "ls", "--format", "{{.Name}}").split(),
            *docker("volume", "ls", "--format", "{{.Name}}").split(),
        }
        return {one for one in named if app in one}

    def image(self, app: str, node: str) -> str:
        found = docker(
            *("ps", "-q", "--no-trunc", "--filter", f"label=dev.graphbundle.app={app}"),
            *("--filter", f"label=dev.graphbundle.resource=service/{node}"),
        )
        return docker("inspect", "--format", "{{.Image}}", found.split()[0]).strip()


class Docker(_Engine):
    name = "docker"


class Compose(_Engine):
    name = "compose"


class _Cluster(Place):
    """A cluster that KUBECONFIG names, whose only node's containerd is this machine's."""

    marks = ("cluster",)
    usual = (
        "service/… publish …: `bundle open` forwards it; no host name is given",
        "volume/… size: 1 GiB, because the graph gives none",
        "volume/… sharing: what mounts it runs on one node, because it is ReadWriteOnce",
        "namespace/… pod security: enforces …",
        "namespace/… isolation: other pods of the cluster reach its pods by address",
        "namespace/… privileges: …",
        "service/… tmpfs: …",
    )
    own_environment = _Engine.own_environment | {
        *("KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT", "KUBERNETES_SERVICE_PORT_HTTPS"),
        *("KUBERNETES_PORT", "KUBERNETES_PORT_443_TCP", "KUBERNETES_PORT_443_TCP_ADDR"),
        *("KUBERNETES_PORT_443_TCP_PORT", "KUBERNETES_PORT_443_TCP_PROTO"),
    }

    def missing(self) -> str | None:
        known = os.environ.get("KUBECONFIG") and os.environ.get("CONTAINERD_ADDRESS") and shutil.which("kubectl")
        return None if known else 'no cluster: run scripts/cluster up and eval "$(scripts/cluster env)"'

    def has_gpus(self) -> bool:
        return "nvidia.com/gpu" in kubectl("get", "nodes", "--output", "jsonpath={.items[*].status.allocatable}")

    @contextmanager
    def door(self, bundle: Command, app: str) -> Iterator[str]:
        """Held open by the command, in a process of its own."""
        program = str(Path(sys.executable).parent / "bundle")
        argv = [program, "open", app, "--target", self.name, *self.options, "--print"]
        pipe, quiet = subprocess.PIPE, subprocess.DEVNULL
        with subprocess.Popen(argv, stdin=quiet, stdout=pipe, stderr=quiet, text=True) as held:
            assert held.stdout is not None
            try:
                address = held.stdout.readline().strip()
                if not address:
                    raise ConnectionError(f"{' '.join(argv)} opens nothing")
                yield address
            finally:
                held.terminate()

    def traces(self, app: str) -> set[str]:
        return {one for one in kubectl("get", "namespaces", "--output", "name").split() if app in one}

    def image(self, app: str, node: str) -> str:
        where = ("--namespace", app, "--selector", f"dev.graphbundle.node={node}")
        told = kubectl("get", "pods", *where, "--output", "jsonpath={.items[0].status.containerStatuses[0].imageID}")
        return told.rpartition("@")[2]


def kubectl(*arguments: str) -> str:
    done = subprocess.run(["kubectl", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, f"kubectl {arguments}: {done.stderr}"
    return done.stdout


class Kubernetes(_Cluster):
    name = "k8s"
    aliases = ("kubernetes",)


class K3s(_Cluster):
    """Images go in by `k3s ctr`, of a node of k3s or of what stands in for it."""

    name = "k3s"
    marks = ("cluster", "k3s")
    like = "k8s"
    options = ("--containerd", "k3s://")

    def missing(self) -> str | None:
        return super().missing() or (
            None if shutil.which("k3s") else "no k3s: run scripts/k3s-stand-in up DIR and eval its env"
        )


PLACES: tuple[Place, ...] = tuple(
    place for place in (Docker(), Compose(), Kubernetes(), K3s()) if place.name in discovery.names()
)
