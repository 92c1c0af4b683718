"""Volumes as claims: what the release asks for, and what is there and stays as it was made. Pure.

A claim's class and mode cannot be changed, and its size only grows, where its class allows that.
https://kubernetes.io/docs/concepts/storage/persistent-volumes/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bundler.model.graph import Volume
from bundler.model.observed import Observed
from bundler.model.plan import Note, Verdict
from bundler.model.release import Release
from targets.k8s import room
from targets.k8s.names import Json

KIND = "PersistentVolumeClaim"
DEFAULT_SIZE_BYTES = 1 << 30  # of a volume whose graph gives none; a claim must say something
ONE_NODE = "ReadWriteOnce"
ANY_NODE = "ReadWriteMany"


@dataclass(frozen=True, slots=True)
class Claim:
    """`storage_class` "": the cluster's default, as it is asked for, or a class without a name."""

    size_bytes: int
    mode: str
    storage_class: str

    @property
    def spec(self) -> str:
        return f"{self.size_bytes} {self.mode} {self.storage_class}".rstrip()


def asked(release: Release, volume: Volume) -> Claim:
    mode = ANY_NODE if volume.name in release.shared else ONE_NODE
    return Claim(volume.size_bytes or DEFAULT_SIZE_BYTES, mode, dict(release.storage).get(volume.name, ""))


def told(found: Json) -> str:
    """What a claim of the cluster's is, as `Claim.spec` says it."""
    spec = found["spec"]
    size = room.quantity(((spec.get("resources") or {}).get("requests") or {}).get("storage", 0)) // 1000
    mode = ANY_NODE if ANY_NODE in (spec.get("accessModes") or ()) else ONE_NODE
    return Claim(size, mode, spec.get("storageClassName") or "").spec


def is_held(name: str, pod: Json) -> bool:
    """Whether a pod keeps a claim from being gone, and goes no way by itself."""
    mounted = [(one.get("persistentVolumeClaim") or {}).get("claimName") for one in pod["spec"].get("volumes") or ()]
    return name in mounted and bool(pod["spec"].get("nodeName")) and not pod["metadata"].get("deletionTimestamp")


def there(observed: Observed) -> dict[str, Claim]:
    """Those of the app, by volume."""
    return {
        thing.resource.removeprefix("volume/"): _read(thing.spec)
        for thing in observed.things
        if thing.name.startswith(f"{KIND}/") and thing.resource.startswith("volume/") and not thing.foreign
    }


def _read(spec: str) -> Claim:
    size, mode, *rest = spec.split(" ")
    return Claim(int(size), mode, rest[0] if rest else "")


def settled(release: Release, volume: Volume, has: Mapping[str, Claim], growing: frozenset[str]) -> Claim:
    """What the release makes of a volume: what is there, larger where it may grow; `growing` are classes."""
    wanted, found = asked(release, volume), has.get(volume.name)
    if found is None:
        return wanted
    grows = volume.size_bytes is not None and found.storage_class in growing
    return Claim(max(found.size_bytes, wanted.size_bytes if grows else 0), found.mode, found.storage_class)


def differences(release: Release, volume: Volume, found: Claim, growing: frozenset[str]) -> Iterator[Note]:
    """What a claim that is there does not become."""
    resource, wanted = f"volume/{volume.name}", asked(release, volume)
    anew = "its data goes with it: `bundle remove --volumes`, and a deploy makes it anew"
    if volume.size_bytes is not None and wanted.size_bytes > found.size_bytes and found.storage_class not in growing:
        has, asks = (room.said("memory", size * 1000) for size in (found.size_bytes, wanted.size_bytes))
        limit = f"its class {found.storage_class!r} lets none grow, as far as is seen"
        reason = f"it was made with {has}, {asks} are asked for, and {limit}"
        yield Note(resource, "size", Verdict.ADAPTED, f"{reason}; {anew}")
    if wanted.storage_class and wanted.storage_class != found.storage_class:
        reason = f"it was made in the class {found.storage_class!r} and stays there, not in {wanted.storage_class!r}"
        yield Note(resource, "storage", Verdict.ADAPTED, f"{reason}; {anew}")
    if wanted.mode == ANY_NODE and found.mode != ANY_NODE:
        reason = f"it was made {found.mode}, which one node mounts at a time"
        yield Note(resource, "shared", Verdict.ADAPTED, f"{reason}; {anew}")


def manifest(name: str, claim: Claim) -> Json:
    return {
        "apiVersion": "v1",
        "kind": KIND,
        "metadata": {"name": name},
        "spec": {
            "accessModes": [claim.mode],
            "resources": {"requests": {"storage": str(claim.size_bytes)}},
            **({"storageClassName": claim.storage_class} if claim.storage_class else {}),
        },
    }
