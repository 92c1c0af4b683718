"""A base, a layer of unpacked wheels and a layer of the application, as one image. Nothing here reads anything.

Nothing of it is of the machine it was made on: the config holds no time, no history and no name of a builder.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bundler.collect import manifests
from bundler.collect.sources import ImageSource, OwnImage, UpstreamImage, packed_of
from bundler.errors import SourceError
from bundler.layout import strictjson
from bundler.layout.assembly import PackedImage
from bundler.layout.documents import Manifest
from bundler.model.oci import INDEX, INDEXES, MANIFEST, Descriptor, Digest, Platform

PLACE = "app"  # of the application in the image
PREFIX = "opt/python"  # of what it needs
BIN = f"{PREFIX}/bin"
USER = "10001:10001"
CREATED = "1970-01-01T00:00:00Z"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_OCI_LAYERS = {
    "application/vnd.docker.image.rootfs.diff.tar": "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.docker.image.rootfs.diff.tar.gzip": "application/vnd.oci.image.layer.v1.tar+gzip",
}


@dataclass(frozen=True, slots=True)
class PythonPart:
    """What is put on one platform of the base."""

    platform: Platform
    added: tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class PythonImage:
    """A `sources.Image`. `program` runs where a workload says nothing else; `import_path` is the application's."""

    source: ImageSource
    base: OwnImage | UpstreamImage
    parts: tuple[PythonPart, ...]
    version: str
    import_path: str
    program: tuple[str, ...] | None

    @property
    def user(self) -> str:
        return USER

    @property
    def layers(self) -> tuple[Digest, ...]:
        return (*self.base.layers, *self.parts[0].added)

    @property
    def all_layers(self) -> frozenset[Digest]:
        return self.base.all_layers | {digest for part in self.parts for digest in part.added}

    def packed(self, sizes: Mapping[Digest, int]) -> PackedImage:
        bases = list(_bases(self.base, sizes))
        documents: dict[Digest, bytes] = {}
        layers: dict[Digest, Descriptor] = {}
        entries = []
        for part in self.parts:
            config, under = next(
                (config, under) for platform, config, under in bases if manifests.serves(platform, part.platform)
            )
            over = tuple(manifests.layer(digest, sizes[digest]) for digest in part.added)
            written = self._config(config, part)
            data = manifests.own_manifest(written, [*under, *over])
            documents |= {Digest.of(written): written, Digest.of(data): data}
            layers |= {layer.digest: layer for layer in (*under, *over)}
            platform = manifests.image_config(written, self.source.what).platform
            entries.append(Descriptor(MANIFEST, Digest.of(data), len(data), platform=platform))
        top = entries[0]
        if len(entries) > 1:
            index = manifests.own_index(entries)
            documents[Digest.of(index)] = index
            top = Descriptor(INDEX, Digest.of(index), len(index))
        return packed_of(self.source, top, documents, tuple(layers[digest] for digest in sorted(layers)))

    def _config(self, base: bytes, part: PythonPart) -> bytes:
        document = json.loads(base)
        inner: dict[str, Any] = dict(document.get("config") or {})
        environment = _environment(document)
        has = environment.get("PYTHON_VERSION", self.version)
        if has != self.version and not has.startswith(f"{self.version}."):
            raise SourceError(
                f"{self.source.what}: its base has Python {has}, not {self.version}", hint="mend version or base"
            )
        environment |= {
            "HOME": "/tmp",  # noqa: S108 - of the container; the user has no line in the base's passwd
            "PATH": f"/{BIN}:{environment.get('PATH') or PATH}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": self.import_path,
            "PYTHONUNBUFFERED": "1",
            "PYTHONUSERBASE": f"/{PREFIX}",
        }
        kept = {
            key: value for key, value in inner.items() if key in ("ExposedPorts", "Labels", "StopSignal", "Volumes")
        }
        program: dict[str, Any] = {"Entrypoint": list(self.program)} if self.program is not None else {}
        parsed = manifests.image_config(base, self.source.what)
        variant = {"variant": document["variant"]} if document.get("variant") else {}
        return strictjson.canonical(
            {
                "architecture": document["architecture"],
                "os": document["os"],
                **variant,
                "created": CREATED,
                "config": {
                    **{key: value for key, value in kept.items() if value},
                    **program,
                    "Env": [f"{name}={text}" for name, text in sorted(environment.items())],
                    "User": USER,
                    "WorkingDir": f"/{PLACE}",
                },
                "rootfs": {
                    "type": "layers",
                    "diff_ids": [digest.text for digest in (*parsed.diff_ids, *part.added)],
                },
            }
        )


def exact_version(base: OwnImage | UpstreamImage, platform: Platform, version: str) -> str:
    """The Python that a base says it has, such as 3.13.5; `version` where it does not say."""
    for has, config in _configs(base):
        if config is not None and manifests.serves(has, platform):
            found = _environment(json.loads(config)).get("PYTHON_VERSION", "")
            return found if re.fullmatch(rf"{re.escape(version)}\.[0-9]+(?:(?:a|b|rc)[0-9]+)?", found) else version
    return version


def _environment(config: Mapping[str, Any]) -> dict[str, str]:
    return dict(text.split("=", 1) for text in (config.get("config") or {}).get("Env") or [] if "=" in text)


def _configs(base: OwnImage | UpstreamImage) -> Iterator[tuple[Platform, bytes | None]]:
    """None for one that an engine has not sent yet."""
    if isinstance(base, OwnImage):
        yield from ((part.platform, part.config) for part in base.parts)
        return
    for manifest in _manifests(base):
        config = base.documents[manifest.config.digest]
        yield manifests.image_config(config, base.source.what).platform, config


def _manifests(base: UpstreamImage) -> Iterator[Manifest]:
    what, top = base.source.what, base.descriptor
    tops: Sequence[Descriptor] = (top,)
    if top.media_type in INDEXES:
        tops = manifests.index(base.documents[top.digest], top.media_type, what).manifests
    for entry in tops:
        yield manifests.manifest(base.documents[entry.digest], entry.media_type, what)


def _bases(
    base: OwnImage | UpstreamImage, sizes: Mapping[Digest, int]
) -> Iterator[tuple[Platform, bytes, Sequence[Descriptor]]]:
    """Each platform of a base: its config and its layers, lowest first."""
    if isinstance(base, OwnImage):
        for part in base.parts:
            if part.config is None:
                raise ValueError(f"{base.source.what}: no config came for {part.platform}")
            yield part.platform, part.config, [manifests.layer(digest, sizes[digest]) for digest in part.diff_ids]
        return
    for manifest in _manifests(base):
        config = base.documents[manifest.config.digest]
        layers = [
            Descriptor(_OCI_LAYERS.get(layer.media_type, layer.media_type), layer.digest, layer.size_bytes)
            for layer in manifest.layers
        ]
        yield manifests.image_config(config, base.source.what).platform, config, layers
