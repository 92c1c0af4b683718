"""Bundles to test with, made by the writer from a few files. Two calls with the same arguments make the same bytes."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bundler.graphfile.check import check_document
from bundler.layout.archive import ArchiveReader, ArchiveWriter
from bundler.layout.assembly import Assembly, PackedConfig, PackedImage, PackedModel, PackedVariant, assemble
from bundler.layout.canonical import Referrer
from bundler.layout.names import bundle_repository
from bundler.model.bundle import ModelFile
from bundler.model.oci import (
    DOCKER_MANIFEST,
    IMAGE_CONFIG,
    INDEX,
    LAYER_TAR,
    MANIFEST,
    Descriptor,
    Digest,
)
from bundler.trust.keys import PrivateKey, PublicKey, read_private
from bundler.trust.policy import Policy
from bundler.trust.sign import sign_root

DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


def key(seed: int = 1) -> PrivateKey:
    """A key that is the same in every run."""
    made = ec.derive_private_key(seed, ec.SECP256R1())
    pem = made.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return read_private(pem, f"key-{seed}")


def trusting(*keys: PublicKey, threshold: int = 1, allow_unsigned: bool = False) -> Policy:
    return Policy(keys, threshold=threshold, allow_unsigned=allow_unsigned)


def tarball(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def describe(media_type: str, data: bytes, **fields: object) -> dict[str, object]:
    return {"mediaType": media_type, "digest": Digest.of(data).text, "size": len(data), **fields}


@dataclass(frozen=True)
class Image:
    """A packed image, and the bytes of its layers."""

    packed: PackedImage
    layers: Mapping[Digest, bytes]


def image(
    name: str,
    workloads: Sequence[str],
    layers: Sequence[Mapping[str, bytes]],
    platforms: Sequence[str] = ("amd64",),
    *,
    docker: bool = False,
    compressed: bool = False,
    attested: bool = False,
) -> Image:
    """An image whose layers hold the given files; an index where there are several platforms or an attestation."""
    documents: dict[Digest, bytes] = {}
    blobs: dict[Digest, tuple[str, bytes]] = {}
    children: list[dict[str, object]] = []

    def document(value: object) -> bytes:
        data = json.dumps(value, indent=1).encode()  # not canonical on purpose: upstream's bytes are kept
        documents[Digest.of(data)] = data
        return data

    config_type, manifest_type = (DOCKER_CONFIG, DOCKER_MANIFEST) if docker else (IMAGE_CONFIG, MANIFEST)
    for architecture in platforms:
        tars = [tarball({**files, "arch": architecture.encode()}) for files in layers]
        stored = [gzip.compress(data, mtime=0) if compressed else data for data in tars]
        layer_type = DOCKER_LAYER if docker else LAYER_TAR + ("+gzip" if compressed else "")
        for data in stored:
            blobs[Digest.of(data)] = (layer_type, data)
        config = document(
            {
                "architecture": architecture,
                "os": "linux",
                "config": {"Cmd": ["/hello"]},
                "rootfs": {"type": "layers", "diff_ids": [Digest.of(data).text for data in tars]},
            }
        )
        manifest = document(
            {
                "schemaVersion": 2,
                "mediaType": manifest_type,
                "config": describe(config_type, config),
                "layers": [describe(layer_type, data) for data in stored],
            }
        )
        platform = {"architecture": architecture, "os": "linux"}
        children.append(describe(manifest_type, manifest, platform=platform))
    if attested:
        children.append(_attestation(document, blobs))
    top = next(iter(children))
    if len(children) > 1:
        index = document({"schemaVersion": 2, "mediaType": INDEX, "manifests": children})
        top = describe(INDEX, index)
    packed = PackedImage(
        name=name,
        source=f"registry.example/acme/{name}:1",
        workloads=tuple(workloads),
        descriptor=Descriptor(str(top["mediaType"]), Digest(str(top["digest"])), int(str(top["size"]))),
        documents=documents,
        layers=tuple(Descriptor(kind, digest, len(data)) for digest, (kind, data) in blobs.items()),
    )
    return Image(packed, {digest: data for digest, (_, data) in blobs.items()})


def _attestation(document: object, blobs: dict[Digest, tuple[str, bytes]]) -> dict[str, object]:
    """What buildx puts beside images: a manifest for the platform unknown/unknown."""
    statement = b'{"_type":"https://in-toto.io/Statement/v0.1"}'
    blobs[Digest.of(statement)] = ("application/vnd.in-toto+json", statement)
    config = document({"architecture": "unknown", "os": "unknown", "rootfs": {"type": "layers", "diff_ids": []}})  # type: ignore[operator]
    manifest = document(  # type: ignore[operator]
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": describe(IMAGE_CONFIG, config),
            "layers": [describe("application/vnd.in-toto+json", statement)],
        }
    )
    return describe(MANIFEST, manifest, platform={"architecture": "unknown", "os": "unknown"})


@dataclass(frozen=True)
class Model:
    packed: PackedModel
    layers: Mapping[Digest, bytes]


def model(name: str, layers: Sequence[Mapping[str, bytes]], licensed: str | None = "apache-2.0") -> Model:
    files: list[ModelFile] = []
    blobs: dict[Digest, bytes] = {}
    for contents in layers:
        data = tarball(contents)
        layer = Digest.of(data)
        blobs[layer] = data
        offset_bytes = 0
        for path, body in contents.items():
            offset_bytes += 512
            files.append(ModelFile(path, len(body), Digest.of(body), layer, offset_bytes))
            offset_bytes += len(body) + -len(body) % 512
    described = tuple(Descriptor(LAYER_TAR, digest, len(data)) for digest, data in blobs.items())
    return Model(PackedModel(name, licensed, tuple(files), described), blobs)


@dataclass(frozen=True)
class Sample:
    """What a bundle is made of; `data` are its layers, in no order."""

    assembly: Assembly
    data: Mapping[Digest, bytes]

    def referrers(self, *keys: PrivateKey, name: str = "tiny") -> tuple[Referrer, ...]:
        return sign_root(self.assembly.root, bundle_repository(name), *keys) if keys else ()

    def write(self, path: Path, *keys: PrivateKey) -> Path:
        with ArchiveWriter(path) as writer:
            for blob in self.assembly.data:
                writer.add_stream([self.data[blob.digest]], expected=blob.digest)
            writer.finish(self.assembly, self.referrers(*keys))
        return path


def smallest(version: str = "1.0.0") -> Sample:
    """One service, one image, one layer."""
    web = image("web", ["web"], [{"hello": b"hi"}])
    return sample({"services": {"web": {"image": "acme/web:1"}}}, [web], version=version)


def sample(
    document: Mapping[str, object],
    images: Sequence[Image],
    models: Sequence[Model] = (),
    configs: Sequence[PackedConfig] = (),
    users: Mapping[str, str] | None = None,
    version: str = "1.0.0",
    variants: Sequence[PackedVariant] = (),
) -> Sample:
    data: Mapping[str, object] = {"bundle": "tiny", "version": version, **document}
    assembly = assemble(
        check_document(data),
        data,
        images=[one.packed for one in images],
        models=[one.packed for one in models],
        configs=configs,
        users=users or {},
        variants=variants,
    )
    return Sample(assembly, {k: v for one in (*images, *models) for k, v in one.layers.items()})


def whole() -> Sample:
    """Something of everything: an index with an attestation, a Docker manifest, shared layers, a model, configs."""
    document = {
        "services": {
            "web": {"image": "acme/web:1", "models": ["weights:/models"], "configs": ["prompts:/etc/prompts"]},
            "db": {"image": "acme/db:1", "configs": ["settings:/etc/db.conf"], "user": "10001:10001"},
        },
        "jobs": {"ingest": {"image": "acme/web:1", "run": "manual"}},
        "models": {"weights": {"from": "./weights"}},
        "configs": {"prompts": {"dir": "./prompts"}, "settings": {"file": "./db.conf"}},
    }
    web = image("web", ["ingest", "web"], [{"hello": b"hi"}, {"app": b"x" * 3000}], ("amd64", "arm64"), attested=True)
    db = image("db", ["db"], [{"hello": b"hi"}, {"db": b"y" * 700}], docker=True, compressed=True)
    weights = model(
        "weights",
        [{"model.safetensors": bytes(range(256)) * 40}, {"config.json": b"{}", "sub/vocab.txt": b"a\nb\n"}],
    )
    configs = [
        PackedConfig("settings", template=False, files=(("", b"port = 1\n"),)),
        PackedConfig("prompts", template=True, files=(("b.txt", b"b"), ("a/a.txt", b"a"))),
    ]
    return sample(document, [web, db], [weights], configs, {"db": "10001:10001"})


def varied() -> Sample:
    """A graph and a variant that has another image, another model of the same name, and no config."""
    document = {
        "services": {"web": {"image": "acme/web:1", "models": ["weights:/models"]}},
        "models": {"weights": {"from": "./weights"}},
    }
    other = {
        "bundle": "tiny",
        "version": "1.0.0",
        "services": {"web": {"image": "acme/other:1", "models": ["weights:/models"]}},
        "models": {"weights": {"from": "./heavier"}},
    }
    acme = PackedVariant("acme", check_document(other), other, {"web": "other"}, {"weights": "weights-acme"}, (), {})
    web, more = image("web", ["web"], [{"hello": b"hi"}]), image("other", [], [{"hello": b"ho"}])
    models = [model("weights", [{"w": b"w" * 100}]), model("weights-acme", [{"w": b"h" * 100}])]
    return sample(document, [web, more], models, variants=[acme])


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def unpack(path: Path, directory: Path) -> Path:
    """The bundle as an OCI layout directory."""
    with ArchiveReader(path) as reader:
        for member in reader.members.values():
            target = directory / member.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(reader.read_member(member.name, 1 << 30))
    return directory
