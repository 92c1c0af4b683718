"""A script, and all it starts, in a network namespace with loopback and its own bridges only."""

from __future__ import annotations

import ipaddress
import os
import re
import subprocess
import sys
from pathlib import Path

from .conftest import ROOT, Bundle

# What strace says where it ends itself: it was told of a process that somebody killed meanwhile. Nothing that it traced
# can connect from then on.
_TRACER_ENDED = re.compile(r"^strace: ptrace\(", re.MULTILINE)

# For scripts with a cluster: waits until what lay in volumes has gone. That is after their claims, by pods of the
# cluster's own, which has no others: the rest of it are processes.
CLEARED = r"""
cleared() {
  for _ in {1..150}; do
    [ -n "$(kubectl get persistentvolumes -o name; kubectl get pods --namespace kube-system -o name)" ] || break
    sleep 0.2
  done
}
"""


def run(
    bundle: Bundle, script: str, env: dict[str, str], *, trace: Path | None = None, timeout_s: float
) -> subprocess.CompletedProcess[str]:
    """`scripts/netns run`, in the repository. `trace` is of all its `connect`s."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    own = {
        "PATH": f"{Path(sys.executable).parent}:{bundle.env['PATH']}",
        "GRAPHBUNDLE_CACHE": os.environ.get("GRAPHBUNDLE_CACHE") or str(caches / "graphbundle"),  # has the programs
    }
    outer = {key: value for key, value in bundle.env.items() if key not in ("KUBECONFIG", "CONTAINERD_ADDRESS")}
    traced = ["--trace", str(trace)] if trace is not None else []
    return subprocess.run(
        [str(ROOT / "scripts/netns"), "run", *traced, "bash", "-c", script],
        capture_output=True,
        text=True,
        env={**outer, **own, **env},
        cwd=ROOT,
        timeout=timeout_s,
    )


def tracer_ended(done: subprocess.CompletedProcess[str]) -> bool:
    """Then the run says nothing."""
    return done.returncode != 0 and _TRACER_ENDED.search(done.stderr) is not None


def outside(trace: str) -> set[str]:
    """Addresses that a `connect` was tried to and that are neither loopback nor private to the engine's bridges."""
    found = set(re.findall(r'inet_addr\("([^"]+)"\)', trace))
    found |= set(re.findall(r'inet_pton\(AF_INET6, "([^"]+)"', trace))
    pools = ipaddress.ip_network("10.0.0.0/8")
    return {
        text
        for text in found
        if not (address := ipaddress.ip_address(text)).is_loopback
        and not address.is_unspecified
        and not (address.version == 4 and address in pools)
    }
