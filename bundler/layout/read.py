"""From a bundle's metadata to `model.bundle.Bundle`.

Reads the index files and metadata blobs of an `ArchiveReader`. Writes nothing. Next: `trust.verify` checks who signed
ROOT, and every byte of the data.

The bundle may be anybody's: every document is hashed before it is parsed, parsed once, strictly, and whatever is not
as the writer makes it is a TrustError that names the bundle and the culprit.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise

from bundler.errors import GraphError, TrustError
from bundler.graphfile.check import check_document
from bundler.layout import canonical, names, strictjson, tar
from bundler.layout.archive import ArchiveReader
from bundler.layout.assembly import SCHEMA
from bundler.layout.canonical import OCI_LAYOUT_BYTES, Layout, lay_out
from bundler.layout.closure import Closure, Part, walk
from bundler.layout.documents import (
    DocumentError,
    Manifest,
    as_list,
    as_object,
    digest,
    parse_index,
    parse_object,
    text,
)
from bundler.layout.names import Role
from bundler.model.bundle import Bundle, BundleConfig, BundleImage, BundleModel, ConfigFile, ModelFile
from bundler.model.graph import Graph
from bundler.model.oci import BUNDLE, CONFIG_FILE, EMPTY, GRAPH, INDEX, Descriptor, Digest

_USER = re.compile(r"[0-9]{1,10}(?::[0-9]{1,10})?\Z")


@dataclass(frozen=True, slots=True)
class Opened:
    """A bundle whose form is canonical. `referrers` are the manifests that speak of ROOT, raw, in index order."""

    closure: Closure
    referrers: tuple[bytes, ...]


def read_bundle(reader: ArchiveReader) -> Bundle:
    """The bundle's contents, from its metadata alone. No signature is looked at: `trust.verify` does that."""
    return bundle_of(reader, open_layout(reader))


def open_layout(reader: ArchiveReader, kind: str = BUNDLE) -> Opened:
    """Check that the file is exactly what its ROOT and referrers make: members, their order, sizes, index files; and
    that it is a bundle, or a library (`kind` is the artifact type)."""
    with _refusing(reader):
        index_bytes = reader.read_member(tar.INDEX)
        entries = parse_index(index_bytes, INDEX, tar.INDEX).manifests
        if not entries:
            raise DocumentError(f"{tar.INDEX}: empty")
        first = entries[0]
        closure = walk(Descriptor(first.media_type, first.digest, first.size_bytes), reader.read)
        if closure.root.artifact_type != kind:
            raise _other_kind(reader, kind)
        listed = [entry for entry in entries[1:] if canonical.is_referrer_entry(entry)]
        if len(listed) > canonical.MAX_REFERRERS:
            raise DocumentError(
                f"{len(listed)} signatures and attestations, at most {canonical.MAX_REFERRERS} are read"
            )
        referrers = tuple(reader.read(entry) for entry in listed)
        _compare(reader, lay_out(closure, referrers), index_bytes)
        return Opened(closure, referrers)


def bundle_of(reader: ArchiveReader, opened: Opened) -> Bundle:
    """Graph and pins, compared with each other and with what ROOT names."""
    with _refusing(reader):
        return _bundle(reader, opened.closure)


def _other_kind(reader: ArchiveReader, wanted: str) -> TrustError:
    file = shlex.quote(str(reader.path))
    if wanted == BUNDLE:
        hint = f"to verify it and write its components beside a graph: bundle components pull {file}"
        return TrustError(f"{reader.path} is a library of components, not a bundle", hint=hint)
    return TrustError(
        f"{reader.path} is a bundle, not a library of components", hint=f"what is in it: bundle inspect {file}"
    )


@contextmanager
def _refusing(reader: ArchiveReader) -> Iterator[None]:
    try:
        yield
    except DocumentError as error:
        raise reader.refusal(str(error)) from error


def _compare(reader: ArchiveReader, layout: Layout, index_bytes: bytes) -> None:
    expected = layout.members()
    found = tuple((member.name, member.size_bytes) for member in reader.members.values())
    if found != expected:
        odd = sorted(set(found) - set(expected)) or sorted(set(expected) - set(found))
        if not odd:
            raise DocumentError("its members are not in canonical order")
        name, size_bytes = odd[0]
        if name not in reader.members:
            raise DocumentError(f"{name} is missing")
        if name in dict(expected):
            raise DocumentError(f"{name} has {size_bytes} bytes, not {dict(expected)[name]}")
        raise DocumentError(f"{name} is in it, and nothing names it")
    if reader.read_member(tar.OCI_LAYOUT) != OCI_LAYOUT_BYTES:
        raise DocumentError(f"{tar.OCI_LAYOUT} is not in canonical form")
    if index_bytes != layout.index:
        raise DocumentError(f"{tar.INDEX} is not what ROOT and its signatures make")
    if reader.read_member(tar.DOCKER_INDEX) != layout.docker_index:
        raise DocumentError(f"{tar.DOCKER_INDEX} is not what ROOT makes")


def _bundle(reader: ArchiveReader, closure: Closure) -> Bundle:
    """The graph's, with those of its variants; what none of them uses is not there."""
    (graph,) = closure.of_role(Role.GRAPH)
    whole, *variants = (_Contents(reader, closure, part).bundle() for part in (graph, *closure.of_role(Role.VARIANT)))
    for role, what, used in (
        (Role.IMAGE, "image", {image.reference for one in (whole, *variants) for image in one.images}),
        (Role.MODEL_IMAGE, "model", {model.reference for one in (whole, *variants) for model in one.models}),
    ):
        for part in closure.of_role(role):
            if canonical.reference(closure, part) not in used:
                raise DocumentError(f"{what} {part.name}: no graph uses it")
    return replace(whole, variants=tuple(variants))


class _Contents:
    """One graph of the bundle."""

    def __init__(self, reader: ArchiveReader, closure: Closure, part: Part) -> None:
        self._closure = closure
        self._part = part
        self._manifest = _manifest_of(self._part)
        config = self._manifest.config
        if config.media_type != GRAPH:
            raise DocumentError(f"the graph: of media type {config.media_type[:120]!r}")
        self._raw = reader.read(config)
        document = parse_object(self._raw, "the graph")
        if document.get("schema") != SCHEMA or set(document) != {"schema", "graph", "pins"}:
            raise DocumentError(
                f"the graph: its schema is {document.get('schema')!r}; this version of bundle reads {SCHEMA}"[:300]
            )
        self._graph_data = as_object(document["graph"], "the graph")
        self._pins = as_object(document["pins"], "the pins")

    def bundle(self) -> Bundle:
        graph = self._graph()
        parts = {(part.role, part.name): part for part in self._closure.parts}
        images = tuple(self._image(name, parts.get((Role.IMAGE, name))) for name in sorted(self._pin("images")))
        models = tuple(self._model(name, parts) for name in sorted(self._pin("models")))
        if odd := {model.name for model in graph.models} ^ {model.name for model in models}:
            raise DocumentError(f"model {min(odd)[:80]!r}: named in one place and missing in another")
        configs = self._configs(graph)
        return Bundle(
            root=self._closure.root,
            graph=graph,
            graph_document=self._raw,
            images=images,
            images_of=self._images_of(graph, images),
            users=self._users(graph),
            models=models,
            configs=configs,
            variant=self._part.name if self._part.role is Role.VARIANT else "",
        )

    def _graph(self) -> Graph:
        try:
            graph = check_document(self._graph_data)
        except GraphError as error:
            first = "".join(f": {problem.where}: {problem.message}" for problem in error.problems[:1])
            raise DocumentError(f"the graph in it is invalid: {error.what}{first}"[:1000]) from error
        found = (graph.name, graph.version)
        own = self._part.role is Role.VARIANT or self._part.name == graph.name
        if found != (self._closure.name, self._closure.version) or not own:
            raise DocumentError(f"ROOT is {self._closure.name} {self._closure.version}, the graph {' '.join(found)}")
        return graph

    def _image(self, name: str, part: Part | None) -> BundleImage:
        if part is None:
            raise DocumentError(f"image {name[:80]!r}: named in one place and missing in another")
        pin = as_object(self._pin("images").get(name), f"the pin of image {name}")
        _same_digest(pin.get("digest"), part, "image")
        if pin.get("source") != part.source:
            raise DocumentError(f"image {name}: graph and ROOT name different sources")
        reference = canonical.reference(self._closure, part)
        return BundleImage(name, reference, part.source, part.descriptor, part.platforms)

    def _model(self, name: str, parts: Mapping[tuple[Role, str], Part]) -> BundleModel:
        """A variant may have another model of the same name, which lies in the bundle under one of its own."""
        where = f"model {name[:80]}"
        pin = as_object(self._pin("models").get(name), f"the pin of {where}")
        packed = text(pin, "name", where) if "name" in pin else name
        pack, image = parts.get((Role.MODEL, packed)), parts.get((Role.MODEL_IMAGE, packed))
        if pack is None or image is None:
            raise DocumentError(f"model {packed[:80]!r}: named in one place and missing in another")
        _same_digest(pin.get("pack"), pack, "model")
        _same_digest(pin.get("image"), image, "image of model")
        layers = {layer.digest: layer.size_bytes for layer in _manifest_of(pack).layers}
        for platform in {platform.manifest.digest: platform for platform in image.platforms}.values():
            if {layer.digest: layer.size_bytes for layer in platform.layers} != layers:
                raise DocumentError(f"{where}: as an image it has other layers")
        return BundleModel(
            name=name,
            reference=canonical.reference(self._closure, image),
            license=None if pin.get("license") is None else text(pin, "license", where),
            pack=pack.descriptor,
            image=image.descriptor,
            platforms=image.platforms,
            files=_model_files(_manifest_of(pack), where),
        )

    def _images_of(self, graph: Graph, images: tuple[BundleImage, ...]) -> tuple[tuple[str, str], ...]:
        workloads = sorted(workload.name for workload in (*graph.services, *graph.jobs))
        pins = self._pin("workloads")
        if sorted(pins) != workloads:
            odd = min(set(pins) ^ set(workloads))
            raise DocumentError(f"{odd}: a workload without an image, or an image for no workload")
        unused = {image.name for image in images}
        found: list[tuple[str, str]] = []
        known = frozenset(unused)
        for workload in workloads:
            name = text(pins, workload, "the pins of workloads")
            if name not in known:
                raise DocumentError(f"{workload}: its image {name[:80]!r} is missing")
            unused.discard(name)
            found.append((workload, name))
        if unused:
            raise DocumentError(f"image {min(unused)}: no workload uses it")
        return tuple(found)

    def _users(self, graph: Graph) -> tuple[tuple[str, str], ...]:
        workloads = {workload.name for workload in (*graph.services, *graph.jobs)}
        found: list[tuple[str, str]] = []
        for workload in sorted(self._pin("users")):
            user = text(self._pin("users"), workload, "the pins of users")
            if workload not in workloads or not _USER.match(user):
                raise DocumentError(f"{workload[:80]!r}: not a user of a workload: {user[:80]!r}")
            found.append((workload, user))
        return tuple(found)

    def _configs(self, graph: Graph) -> tuple[BundleConfig, ...]:
        """Every config of the graph that has files; the layers of the graph's manifest are those files, no others."""
        pins = self._pin("configs")
        for config in graph.configs:
            if config.name not in pins and config.content is None:
                raise DocumentError(f"config {config.name}: missing")
        if not set(pins) <= {config.name for config in graph.configs}:
            raise DocumentError(f"config {min(set(pins))[:80]!r}: not in the graph")
        sizes = {blob.digest: blob.size_bytes for blob in self._manifest.layers if blob.media_type == CONFIG_FILE}
        used: set[Digest] = set()
        found: list[BundleConfig] = []
        for name in sorted(pins):
            pin = as_object(pins[name], f"config {name}")
            if not isinstance(pin.get("template"), bool):
                raise DocumentError(f"config {name}: `template` is not true or false")
            files = tuple(_config_files(pin, sizes, f"config {name}"))
            used |= {file.blob.digest for file in files}
            found.append(BundleConfig(name, files, pin["template"] is True))
        others = {blob.media_type for blob in self._manifest.layers if blob.digest not in used}
        if set(sizes) != used or not others <= {EMPTY}:
            raise DocumentError("the graph's manifest names files that no config has")
        return tuple(found)

    def _pin(self, kind: str) -> dict[str, object]:
        return as_object(self._pins.get(kind), f"the pins of {kind}")


def _manifest_of(part: Part) -> Manifest:
    if part.manifest is None:
        raise DocumentError(f"{part.role} {part.name}: no manifest")
    return part.manifest


def _model_files(manifest: Manifest, where: str) -> tuple[ModelFile, ...]:
    found: dict[str, ModelFile] = {}
    for layer in manifest.layers:
        try:
            listed = strictjson.parse(layer.annotations.get(names.FILES, "").encode("utf-8"))
        except strictjson.JsonError as error:
            raise DocumentError(f"{where}: the list of files in {layer.digest}: {error}") from error
        for item in as_list(listed, f"{where}: the files in {layer.digest}"):
            entry = as_object(item, f"{where}: a file in {layer.digest}")
            path = _path(entry, where)
            offset_bytes, size_bytes = _number(entry, "offset", where), _number(entry, "size", where)
            if offset_bytes + size_bytes > layer.size_bytes:
                raise DocumentError(f"{where}: {path} goes beyond the end of {layer.digest}")
            if path in found:
                raise DocumentError(f"{where}: {path} is there twice")
            found[path] = ModelFile(path, size_bytes, digest(entry.get("digest"), where), layer.digest, offset_bytes)
    if not found:
        raise DocumentError(f"{where}: no file in it")
    return tuple(found[path] for path in sorted(found))


def _config_files(pin: Mapping[str, object], sizes: Mapping[Digest, int], where: str) -> Iterator[ConfigFile]:
    listed = as_list(pin.get("files"), f"{where}: `files`")
    paths: list[str] = []
    for item in listed:
        entry = as_object(item, where)
        blob, size_bytes = digest(entry.get("digest"), where), _number(entry, "size", where)
        if sizes.get(blob) != size_bytes:
            raise DocumentError(f"{where}: {blob} ({size_bytes} bytes) is missing")
        paths.append("" if entry.get("path") == "" and len(listed) == 1 else _path(entry, where))
        yield ConfigFile(paths[-1], Descriptor(CONFIG_FILE, blob, size_bytes))
    if any(first >= second for first, second in pairwise(paths)):
        raise DocumentError(f"{where}: its files are not in order, or one is there twice")


def _path(entry: Mapping[str, object], where: str) -> str:
    path = text(entry, "path", where)
    if not names.is_file_path(path):
        raise DocumentError(f"{where}: not a path of a file in it: {path[:120]!r}")
    return path


def _number(entry: Mapping[str, object], key: str, where: str) -> int:
    value = entry.get(key)
    if type(value) is not int or value < 0:
        raise DocumentError(f"{where}: `{key}` is not a number of bytes: {value!r}"[:300])
    return value


def _same_digest(pinned: object, part: Part, what: str) -> None:
    if pinned != part.descriptor.digest.text:
        raise DocumentError(f"{what} {part.name}: the graph pins another digest than ROOT")
