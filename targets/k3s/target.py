"""The k3s target: Kubernetes, found and supplied as k3s has it.

On the node itself images go in by `k3s ctr`, and the kubeconfig is the one that k3s writes; where KUBECONFIG names
another, it may be of another cluster, and serves as on any. Apps are those of the k8s target: either sees the other's.
https://docs.k3s.io/cluster-access, https://docs.k3s.io/installation/registry-mirror
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from bundler.contract import Target
from bundler.edges import process
from targets.k8s import options
from targets.k8s.api import Api
from targets.k8s.delivery import IN_K3S
from targets.k8s.target import KubernetesTarget

TARGET = "k3s"
KUBECONFIG = Path("/etc/rancher/k3s/k3s.yaml")


def create(given: Mapping[str, str]) -> Target:
    """The entry point. Options are those of k8s; the node's containerd is k3s's own where the cluster is and the `k3s`
    program is here."""
    settings, file = options.settings(given, TARGET), kubeconfig(KUBECONFIG)
    here = file is not None or is_own(Path(os.environ.get("KUBECONFIG", "")))
    if not settings.sockets and here and process.has("k3s"):
        settings = replace(settings, sockets=(IN_K3S,))
    return K3sTarget(settings, Api(settings.context, file))


def kubeconfig(own: Path) -> Path | None:
    """The one that k3s writes, where it did and KUBECONFIG names no other."""
    return own if not os.environ.get("KUBECONFIG") and own.exists() else None


def is_own(file: Path) -> bool:
    """Whether a kubeconfig is the one that k3s writes, under whatever root, which leads to the cluster of this node."""
    own = KUBECONFIG.parts[1:]
    return file.resolve().parts[-len(own) :] == own


class K3sTarget(KubernetesTarget):
    name = TARGET
