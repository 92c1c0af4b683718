"""From packed images, models and config files to ROOT and every metadata blob. Pure.

Reads the graph and what `collect` stored. Writes `Assembly`. Next: `trust.sign` signs ROOT, `ArchiveWriter.finish`
writes it all. Same input, same bytes: nothing here knows a clock, a user or a path.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bundler.errors import SourceError
from bundler.layout import names, strictjson
from bundler.layout.closure import MODEL_MANIFEST, walk
from bundler.layout.documents import (
    METADATA_LIMIT_BYTES,
    DocumentError,
    describe,
    descriptor_json,
    parse_manifest,
    platform_of_config,
)
from bundler.layout.names import Role
from bundler.model.bundle import ModelFile
from bundler.model.graph import Graph
from bundler.model.oci import (
    BUNDLE,
    CONFIG_FILE,
    EMPTY,
    GRAPH,
    GRAPH_MANIFEST,
    IMAGE_CONFIG,
    INDEX,
    LAYER_TAR,
    MANIFEST,
    MANIFESTS,
    Descriptor,
    Digest,
)

SCHEMA = 1
WEIGHT_TAR = "application/vnd.cncf.model.weight.v1.tar"
MODEL_CONFIG = "application/vnd.cncf.model.config.v1+json"
MODEL_FILEPATH = "org.cncf.model.filepath"
_MODEL_PLATFORMS = ("amd64", "arm64")  # weights are mounted by every container, whatever the host


@dataclass(frozen=True, slots=True)
class PackedImage:
    """An image whose layers are stored. `name` is its key in the pins, `source` what the graph said; `workloads` are
    the graph's own, none for an image of variants only.

    `descriptor` is the index or manifest; `documents` holds every index, manifest and config below it (itself
    too), raw as received; `layers` every layer, in any order. An index is closed: all that it lists is here. A
    subset of an upstream index's platforms is therefore an index made for it, or the one manifest.
    """

    name: str
    source: str
    workloads: tuple[str, ...]
    descriptor: Descriptor
    documents: Mapping[Digest, bytes]
    layers: tuple[Descriptor, ...]


@dataclass(frozen=True, slots=True)
class PackedModel:
    """A model whose layers (uncompressed tars: diffID = digest) are stored."""

    name: str
    license: str | None
    files: tuple[ModelFile, ...]
    layers: tuple[Descriptor, ...]


@dataclass(frozen=True, slots=True)
class PackedConfig:
    """A config's files: (path relative to the mount point, bytes); the path of a single file is ""."""

    name: str
    template: bool
    files: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class PackedVariant:
    """A second graph over the same images and models. `document` is its data and `graph` the same, checked; `workloads`
    names the image of each, `models` the packed model that each of its models is; `users` as in `assemble`."""

    name: str
    graph: Graph
    document: Mapping[str, object]
    workloads: Mapping[str, str]
    models: Mapping[str, str]
    configs: Sequence[PackedConfig]
    users: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Assembly:
    """Everything but the data: ROOT, all metadata (ROOT too), and the data blobs in canonical order."""

    root: Descriptor
    root_bytes: bytes
    metadata: Mapping[Digest, bytes]
    data: tuple[Descriptor, ...]


def assemble(
    graph: Graph,
    document: Mapping[str, object],
    *,
    images: Sequence[PackedImage],
    models: Sequence[PackedModel],
    configs: Sequence[PackedConfig],
    users: Mapping[str, str],
    variants: Sequence[PackedVariant] = (),
) -> Assembly:
    """`document` is bundle.yaml as plain JSON data and `graph` the same, checked; `users` maps a workload to "uid:gid".

    SourceError where an image's documents do not hang together, or a config file is larger than 4 MiB.
    """
    if not names.is_version(graph.version):
        raise SourceError(
            f"the version {graph.version!r} cannot be made a tag", hint="at most 100 of A-Z a-z 0-9 . _ -"
        )
    blobs = _Blobs()
    images, models = sorted(images, key=_name), sorted(models, key=_name)
    packed = {model.name: (model, _model_pack(model, blobs), _model_image(model, blobs)) for model in models}
    whole = PackedVariant(
        graph.name,
        graph,
        document,
        {workload: image.name for image in images for workload in image.workloads},
        {model.name: model.name for model in graph.models},
        configs,
        users,
    )
    entries = [_graph_entry(whole, Role.GRAPH, images, packed, blobs)]
    entries += [_graph_entry(variant, Role.VARIANT, images, packed, blobs) for variant in sorted(variants, key=_name)]
    entries += [_image_entry(image, blobs) for image in images]
    for model, pack, model_image in packed.values():
        entries.append(pack | {"annotations": _annotations(Role.MODEL, model.name)})
        entries.append(model_image | {"annotations": _annotations(Role.MODEL_IMAGE, model.name)})
    root = blobs.add(
        INDEX,
        strictjson.canonical(
            {
                "schemaVersion": 2,
                "mediaType": INDEX,
                "artifactType": BUNDLE,
                "manifests": entries,
                "annotations": {names.TITLE: graph.name, names.VERSION: graph.version},
            }
        ),
    )
    root_digest = Digest(str(root["digest"]))
    root_bytes = blobs.held[root_digest]
    described = Descriptor(INDEX, root_digest, len(root_bytes), artifact_type=BUNDLE)
    return _closed(described, root_bytes, blobs, images, models)


class _Blobs:
    """Metadata by digest."""

    def __init__(self) -> None:
        self.held: dict[Digest, bytes] = {}

    def add(self, media_type: str, data: bytes, **fields: str) -> dict[str, object]:
        self.held[Digest.of(data)] = data
        return describe(media_type, data, **fields)

    def add_json(self, media_type: str, value: Mapping[str, object], **fields: str) -> dict[str, object]:
        return self.add(media_type, strictjson.canonical(value), **fields)

    def fetch(self, blob: Descriptor) -> bytes:
        data = self.held.get(blob.digest)
        if data is None:
            raise DocumentError(f"{blob.digest} is named and not there")
        if len(data) != blob.size_bytes:
            raise DocumentError(f"{blob.digest} has {len(data)} bytes, its descriptor says {blob.size_bytes}")
        return data


def _closed(
    root: Descriptor, root_bytes: bytes, blobs: _Blobs, images: Sequence[PackedImage], models: Sequence[PackedModel]
) -> Assembly:
    """Walk what was made, as the reader will: what is not there, or too large, is found now."""
    layers = [*(layer for image in images for layer in image.layers), *(layer for m in models for layer in m.layers)]
    stored = {layer.digest: layer.size_bytes for layer in layers}
    try:
        closure = walk(root, blobs.fetch)
        for layer in closure.data:
            if stored.get(layer.digest) != layer.size_bytes:
                raise DocumentError(f"the layer {layer.digest} ({layer.size_bytes} bytes) is named and was not packed")
        for digest, size_bytes in closure.metadata.items():
            blobs.fetch(Descriptor("", digest, size_bytes))
    except DocumentError as error:
        raise SourceError(f"the images and models do not make a bundle: {error}") from error
    metadata = {digest: blobs.held[digest] for digest in sorted(closure.metadata)}
    return Assembly(root, root_bytes, metadata, closure.data)


_Models = Mapping[str, tuple[PackedModel, dict[str, object], dict[str, object]]]


def _pins(variant: PackedVariant, images: Sequence[PackedImage], models: _Models) -> dict[str, object]:
    used = set(variant.workloads.values())
    return {
        "images": {i.name: {"digest": i.descriptor.digest.text, "source": i.source} for i in images if i.name in used},
        "workloads": dict(variant.workloads),
        "users": dict(variant.users),
        "models": {
            name: {"pack": pack["digest"], "image": image["digest"], "license": model.license}
            | ({} if packed == name else {"name": packed})
            for name, packed in variant.models.items()
            for model, pack, image in [models[packed]]
        },
        "configs": {c.name: _config_pin(c) for c in variant.configs},
    }


def _graph_entry(
    variant: PackedVariant, role: Role, images: Sequence[PackedImage], models: _Models, blobs: _Blobs
) -> dict[str, object]:
    pins = _pins(variant, images, models)
    config = blobs.add_json(GRAPH, {"schema": SCHEMA, "graph": variant.document, "pins": pins})
    layers: list[dict[str, object]] = []
    for packed in sorted(variant.configs, key=_name):
        for path, data in sorted(packed.files):
            title = f"{packed.name}/{path}" if path else packed.name
            if len(data) > METADATA_LIMIT_BYTES:
                raise SourceError(
                    f"config {title}: {len(data)} bytes, at most {METADATA_LIMIT_BYTES} can be packed",
                    hint="larger files belong into an image, or a model",
                )
            layers.append(blobs.add(CONFIG_FILE, data) | {"annotations": {names.TITLE: title}})
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": GRAPH_MANIFEST,
        "config": config,
        # The specification advises against a manifest without layers: some registries refuse it.
        "layers": layers or [blobs.add(EMPTY, b"{}")],
    }
    entry = blobs.add_json(MANIFEST, manifest, artifactType=GRAPH_MANIFEST)
    return entry | {"annotations": _annotations(role, variant.name)}


def _config_pin(packed: PackedConfig) -> dict[str, object]:
    files = [{"path": path, "digest": Digest.of(data).text, "size": len(data)} for path, data in sorted(packed.files)]
    return {"template": packed.template, "files": files}


def _image_entry(image: PackedImage, blobs: _Blobs) -> dict[str, object]:
    where = f"image {image.name}"
    for digest, data in image.documents.items():
        if Digest.of(data) != digest:
            raise SourceError(f"{where}: {digest} is damaged: its bytes have the digest {Digest.of(data)}")
        blobs.held[digest] = data
    platform = None
    try:
        if image.descriptor.media_type in MANIFESTS:
            data = blobs.fetch(image.descriptor)
            config = parse_manifest(data, image.descriptor.media_type, where).config
            platform = platform_of_config(blobs.fetch(config), f"{where} config")
    except DocumentError as error:
        raise SourceError(str(error)) from error
    source = {names.SOURCE: image.source}
    annotations = _annotations(Role.IMAGE, image.name) | source
    found = image.descriptor
    return descriptor_json(Descriptor(found.media_type, found.digest, found.size_bytes, annotations, platform))


def _model_pack(model: PackedModel, blobs: _Blobs) -> dict[str, object]:
    """The CNCF ModelPack manifest, with every file's byte range and digest beside the layer it is in."""
    title: dict[str, object] = {"name": model.name}
    if model.license is not None:
        title["licenses"] = [model.license]
    config = {
        "descriptor": title,
        "modelfs": {"type": "layers", "diffIds": [layer.digest.text for layer in model.layers]},
        "config": {"format": "safetensors"} if any(f.path.endswith(".safetensors") for f in model.files) else {},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": MODEL_MANIFEST,
        "config": blobs.add_json(MODEL_CONFIG, config),
        "layers": [
            descriptor_json(
                Descriptor(WEIGHT_TAR, layer.digest, layer.size_bytes, _layer_annotations(model, layer.digest))
            )
            for layer in model.layers
        ],
        "annotations": {names.TITLE: model.name},
    }
    return blobs.add_json(MANIFEST, manifest, artifactType=MODEL_MANIFEST)


def _layer_annotations(model: PackedModel, layer: Digest) -> dict[str, str]:
    files = sorted((file for file in model.files if file.layer == layer), key=lambda file: file.path)
    listed = [{"path": f.path, "offset": f.offset_bytes, "size": f.size_bytes, "digest": f.digest.text} for f in files]
    # A layer of several files holds paths from the model's root on.
    filepath = files[0].path if len(files) == 1 else "."
    return {MODEL_FILEPATH: filepath, names.FILES: strictjson.canonical(listed).decode("utf-8")}


def _model_image(model: PackedModel, blobs: _Blobs) -> dict[str, object]:
    """The same layers as an image that containers mount."""
    diff_ids = [layer.digest.text for layer in model.layers]
    layers = [descriptor_json(Descriptor(LAYER_TAR, layer.digest, layer.size_bytes)) for layer in model.layers]
    manifests: list[dict[str, object]] = []
    for architecture in _MODEL_PLATFORMS:
        config: dict[str, object] = {
            "architecture": architecture,
            "os": "linux",
            "config": {"Cmd": ["/none"]},  # `docker create` wants a command, though nothing here can run
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": blobs.add_json(IMAGE_CONFIG, config),
            "layers": layers,
        }
        platform = {"architecture": architecture, "os": "linux"}
        manifests.append(blobs.add_json(MANIFEST, manifest) | {"platform": platform})
    return blobs.add_json(INDEX, {"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests})


def _annotations(role: Role, name: str) -> dict[str, str]:
    return {names.ROLE: role.value, names.NAME: name}


def _name(packed: PackedImage | PackedModel | PackedConfig | PackedVariant) -> str:
    return packed.name
