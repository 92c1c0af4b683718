"""The k3s target: Kubernetes, found and supplied as k3s has it.

On the node itself images go in by `k3s ctr`, and the kubeconfig is the one that k3s writes; where KUBECONFIG names
another, it may be of another cluster, and serves as on any. Apps are those of the k8s target: either sees the other's.
https://docs.k3s.io/cluster-access, https://docs.k3s.io/installation/registry-mirror
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from bundler.contract import Target
from bundler.edges import process
from bundler.model.finding import Finding
from targets.k8s import options
from targets.k8s.api import Api
from targets.k8s.cluster import Settings
from targets.k8s.delivery import IN_K3S
from targets.k8s.ground import Ground
from targets.k8s.target import KubernetesTarget

TARGET = "k3s"
KUBECONFIG = Path("/etc/rancher/k3s/k3s.yaml")
IMAGES = Path("/var/lib/rancher/k3s/agent/images")
_PROGRAM = "k3s"


def create(given: Mapping[str, str]) -> Target:
    """The entry point. Options are those of k8s; the node's containerd is k3s's own where the cluster is and the `k3s`
    program is here."""
    settings, file = options.settings(given, TARGET), kubeconfig(KUBECONFIG)
    here = file is not None or is_own(Path(os.environ.get("KUBECONFIG", "")))
    if not settings.sockets and here and process.has(_PROGRAM):
        settings = replace(settings, sockets=(IN_K3S,))
    own = None if os.environ.get("KUBECONFIG") else KUBECONFIG
    return K3sTarget(settings, Api(settings.context, file, own))


def kubeconfig(own: Path) -> Path | None:
    """The one that k3s writes, where it did and KUBECONFIG names no other."""
    return own if not os.environ.get("KUBECONFIG") and own.exists() else None


def is_own(file: Path) -> bool:
    """Whether a kubeconfig is the one that k3s writes, under whatever root, which leads to the cluster of this node."""
    own = KUBECONFIG.parts[1:]
    return file.resolve().parts[-len(own) :] == own


class K3sTarget(KubernetesTarget):
    name = TARGET

    def examine(self) -> Iterator[Finding]:
        yield from super().examine()
        yield distribution(self._ground, self.settings)


def distribution(ground: Ground, settings: Settings) -> Finding:
    """Whether the cluster is k3s, as its kubelets say: v1.35.0+k3s1. Where images have another way, it need not be."""
    purpose = "images by `k3s ctr`, or by a node's images directory"
    versions = sorted({node["status"]["nodeInfo"]["kubeletVersion"] for node in ground.nodes})
    kubelets = f"kubelet {', '.join(versions) or 'of no node that this user sees'}"
    if all("+k3s" in version for version in versions):
        return Finding(TARGET, kubelets, purpose)
    here = [what for what, there in (("`k3s`", process.has(_PROGRAM)), (str(IMAGES), IMAGES.is_dir())) if there]
    found = f"though here is {' and '.join(here)}" if here else f"and here is neither `k3s` nor {IMAGES}"
    way = settings.registry or ", ".join(settings.sockets)
    hint = f"images go by {way}, as with -t k8s" if way else "-t k8s with --registry HOST/PATH or --containerd SOCKET"
    return Finding(TARGET, f"{kubelets}: no k3s, {found}", purpose, ok=False, needed=not way, hint=hint)
