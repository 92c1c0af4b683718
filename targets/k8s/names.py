"""What objects of ours are called in a cluster, and the labels and annotations that make them ours. Pure.

A label's value may hold no "/" and 63 characters at most, so the resource and the digests are annotations.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from bundler.model.release import ReleaseJob
from targets import ownership

Json = dict[str, Any]

TARGET = "k8s"
MANAGER = "graphbundle"  # the field manager of every apply
NODE = ownership.PREFIX + "node"  # label: the service or job that an object belongs to
KEPT = ownership.PREFIX + "kept"  # label: "record", "secrets" or "lease"
REVISIONS = ownership.PREFIX + "revisions"  # annotation, JSON: the revision of each kept secret
PULL_SECRET = ownership.PREFIX + "pull-secret"  # annotation of a record: the Secret they pull with
REGISTRY = ownership.PREFIX + "registry"  # annotation of a record: where the nodes pull from, if they do
VOLUME = ownership.PREFIX + "volume."
LABEL_LIMIT = 63
NAME_LIMIT = 253

RECORD_TYPE = "bundle.release/v1"
SECRETS_TYPE = "bundle.secrets/v1"
LEASE_TYPE = "bundle.lease/v1"
LEASE = "lease"  # the resource
ENFORCE = "pod-security.kubernetes.io/enforce"
RANK = "batch.kubernetes.io/job-completion-index"  # annotation of a worker's pod
RUN = "batch.kubernetes.io/job-name"  # label of a worker's pod (Kubernetes 1.27)

DIGITS = 8


def labels(app: str, node: str | None = None) -> dict[str, str]:
    """`app.kubernetes.io/…` are for other tools; ours say whose an object is."""
    made = {
        "app.kubernetes.io/managed-by": MANAGER,
        "app.kubernetes.io/instance": app,
        ownership.APP: app,
        ownership.TARGET: TARGET,
    }
    if node is not None:
        made |= {"app.kubernetes.io/name": node, NODE: node}
    return made


def selector(app: str, node: str) -> dict[str, str]:
    return {ownership.APP: app, NODE: node}


def ours(found: Mapping[str, Any], app: str) -> bool:
    """Whether an object's labels say that it belongs to `app`."""
    return ownership.ours(found["metadata"].get("labels"), TARGET, app)


def annotation(found: Mapping[str, Any], key: str) -> str:
    return str((found["metadata"].get("annotations") or {}).get(key, ""))


def pull_secret(app: str) -> str:
    return f"{app}-bundle-pull"


def secrets(app: str) -> str:
    return f"{app}-secrets"


def lease(app: str) -> str:
    return f"{app}-lease"


def record(app: str, revision: int) -> str:
    return f"{app}-r{revision}"


def revision(found: Mapping[str, Any]) -> int:
    """Of a record, as it is kept; 0 where something else has changed it."""
    told = annotation(found, ownership.RESOURCE).partition("/")[2]
    return int(told) if told.isdecimal() else 0


def hashed(node: str, kind: str, content: str) -> str:
    """A name that changes with the content."""
    return f"{node}-{kind}-{content[:DIGITS]}"


def fitting(text: str, limit: int = LABEL_LIMIT) -> str:
    """As a label's value may be: a longer one is cut, and ends in a digest of all of it."""
    if len(text) <= limit:
        return text
    return f"{text[: limit - DIGITS - 1].rstrip('-')}-{ownership.digest(text, DIGITS)}"


def rank_length(job: ReleaseJob) -> int:
    """How much longer than its job's a worker's name is."""
    return len(f"-{job.max_workers - 1}") if job.ranked else 0


def is_label(text: str) -> bool:
    return re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", text) is not None


def is_name(text: str) -> bool:
    """Whether a Secret or a class may have it for a name."""
    return len(text) <= NAME_LIMIT and all(is_label(part) for part in text.split("."))


def is_registry(text: str) -> bool:
    """HOST[:PORT]/PATH. A host without a dot, a port or `localhost` is none to a container runtime, but a path of
    docker.io."""
    found = re.fullmatch(
        r"([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]+)?((?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*)", text
    )
    return found is not None and (bool(found[2]) or "." in found[1] or found[1] == "localhost" or found[1][0] == "[")


def together(volume: str) -> str:
    """The label of pods that must run on one node, because they mount one volume."""
    key = VOLUME + volume
    return key if len(key) <= LABEL_LIMIT else VOLUME + ownership.digest(volume, 16)


def in_node(resource: str, socket: str | None, nodes: int) -> str:
    """An image of one node's among several, as a plan names it."""
    return resource if socket is None or nodes < 2 else f"{resource} in {socket}"
