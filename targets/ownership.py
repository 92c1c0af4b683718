"""Which things on a target are ours: the labels they carry and the names they have.

A thing is ours when its labels say so, never because of its name. A name of ours that something else
has is foreign: it is reported, refused, and left alone.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping

PREFIX = "dev.graphbundle."
APP = PREFIX + "app"
TARGET = PREFIX + "target"
RESOURCE = PREFIX + "resource"  # "service/api", "volume/data", "files/api" ...
SPEC = PREFIX + "spec"  # what the thing was made from, as a digest
PARTS = PREFIX + "parts"  # JSON: the same in pieces, so that a change can be named
INDEX = PREFIX + "index"  # which of several equal instances
IMAGE = PREFIX + "image"  # the image's full name, for people: containers are pinned by digest
DOORS = PREFIX + "doors"  # JSON: {door: [bind, host port]}
IMAGES = PREFIX + "images"  # JSON: the image references an app has brought
RECORD = PREFIX + "record"  # a release record's document
BUNDLE = PREFIX + "bundle"
VERSION = PREFIX + "version"
ROOT = PREFIX + "root"

FILLER = ".fill"
FILLING = ".filling"
SUCCESSOR = ".next"
READER = ".read-"


def labels(target: str, app: str, resource: str, spec: str) -> dict[str, str]:
    """The labels that make a thing ours."""
    return {APP: app, TARGET: target, RESOURCE: resource, SPEC: spec}


def ours(found: Mapping[str, str] | None, target: str, app: str) -> bool:
    """Whether labels say that a thing belongs to `app`, put there by the adapter `target`."""
    return found is not None and found.get(APP) == app and found.get(TARGET) == target


def owner(found: Mapping[str, str]) -> str:
    """Whose a thing that is not ours is, as far as labels of ours say: "app search on docker"."""
    app, target = found.get(APP), found.get(TARGET)
    return f"app {app} on {target}" if app and target else ""


def canonical(value: object) -> str:
    """JSON with one spelling, for digests and labels."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(value: object, length: int = 64) -> str:
    """The first hexadecimal digits of the sha256 of a JSON value."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:length]


LOSES_DATA = ("volume/", "record/", "secrets")  # resources that only consent removes


def going(resource: str) -> tuple[int, int]:
    """In which order these go: the data, then the records from the oldest on, then secrets. A record that an
    interruption left would ask for the secrets that it names, as the data may know no others."""
    kind, _, revision = resource.partition("/")
    rank = {"record": 1, "secrets": 2}.get(kind, 0)
    return rank, int(revision) if rank == 1 and revision.isdecimal() else 0


def network(app: str) -> str:
    return app


def volume(app: str, name: str) -> str:
    return f"{app}_{name}"


def container(app: str, node: str, index: int = 0) -> str:
    """APP-NODE, and APP-NODE.2 for the second instance: APP-NODE-2 is that of the node NODE-2."""
    return f"{app}-{node}" if index == 0 else f"{app}-{node}.{index + 1}"


def worker(node: str, rank: int) -> str:
    """NODE-0 … NODE-(N-1) of a job with N workers."""
    return f"{node}-{rank}"


RESERVED_VOLUMES = re.compile(r"secrets|helper|r[0-9]+")  # data volumes of these names are refused


def secrets_volume(app: str) -> str:
    return f"{app}_secrets"


def helper_volume(app: str) -> str:
    return f"{app}_helper"


def files_volume(app: str, node: str, content: str) -> str:
    return f"{app}_files_{node}_{content[:8]}"


def model_volume(app: str, model: str, content: str) -> str:
    return f"{app}_model_{model}_{content[:8]}"


def claim_volume(app: str, content: str) -> str:
    return f"{app}_images_{content[:8]}"


def record_volume(app: str, revision: int) -> str:
    return f"{app}_r{revision}"


def lease_volume(app: str, number: int) -> str:
    return f"{app}_lease_{number}"


def filler(volume_name: str, number: int = 0) -> str:
    """The never started container that fills a volume; its name keeps others from filling at the same time."""
    return f"{volume_name}{FILLER}{number or ''}"


def filling_volume(volume_name: str) -> str:
    """The empty volume that marks another one as not complete while it exists."""
    return volume_name + FILLING


def successor(container_name: str) -> str:
    """A container made to take another's place, until it has its name."""
    return container_name + SUCCESSOR
