"""Images and weights into the site's registry: what it lacks of one platform, by digest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bundler.contract import BlobSource
from bundler.edges.push import Registry
from bundler.errors import TargetError
from bundler.model.plan import Note, Verdict
from targets.counting import counted
from targets.descriptors import descriptor

CHECK_IDLE_S = 15.0

Payload = Mapping[str, Any]


def push(payload: Payload, blobs: BlobSource, progress: Callable[[int], None]) -> None:
    """Blobs before the manifest, which a registry only takes when it has them all. `elsewhere` says which repository
    of the registry has a blob; the plan counts it as not sent."""
    host, _, repository = payload["reference"].partition("@")[0].partition("/")
    registry = Registry(host)
    manifest, config = descriptor(payload["manifest"]), descriptor(payload["config"])
    layers = [descriptor(layer) for layer in payload["layers"]]
    elsewhere = payload["elsewhere"]
    if registry.has(repository, manifest, manifest=True):
        progress(sum(layer.size_bytes for layer in layers if str(layer.digest) not in elsewhere))
        return
    for blob in dict.fromkeys((*layers, config)):
        source = elsewhere.get(str(blob.digest))
        if not registry.has(repository, blob):
            registry.put_blob(repository, blob, counted(blobs.stream(blob), progress), source=source)
        elif source is None:
            progress(blob.size_bytes)
    registry.put_manifest(repository, manifest, blobs.read(manifest))


def check(payloads: Sequence[Payload]) -> list[Note]:
    """A refusal where the registry would not take what it lacks; one reason is enough."""
    asked: dict[str, Registry] = {}
    for payload in payloads:
        host, _, repository = payload["reference"].partition("@")[0].partition("/")
        registry = asked.setdefault(host, Registry(host, idle_s=CHECK_IDLE_S))
        try:
            if not registry.has(repository, descriptor(payload["manifest"]), manifest=True):
                registry.try_push(repository)
        except TargetError as error:
            reason = f"{error.what}; {error.hint}" if error.hint else error.what
            return [Note("images", "delivery", Verdict.REFUSED, reason)]
    return []
