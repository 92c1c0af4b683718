"""Bundles that the writer would not write: members changed, with everything above them made to fit again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sample import Sample

from bundler.layout import strictjson
from bundler.layout.archive import ArchiveReader
from bundler.layout.canonical import lay_out
from bundler.layout.closure import walk
from bundler.layout.documents import DocumentError
from bundler.layout.tar import DOCKER_INDEX, INDEX, OCI_LAYOUT, TRAILER, blob_name, header, padding_bytes
from bundler.model.oci import INDEX as OCI_INDEX
from bundler.model.oci import Descriptor, Digest
from bundler.trust.keys import PrivateKey

Document = dict[str, Any]


def raw(members: list[tuple[str, bytes]], end: bytes = TRAILER) -> bytes:
    """A tar with canonical headers around anything."""
    found = [header(name, len(body)) + body + bytes(padding_bytes(len(body))) for name, body in members]
    return b"".join(found) + end


def put(*path: str | int, value: object) -> Callable[[Document], None]:
    """A change of a document: the value at a path in it."""

    def change(document: Document) -> None:
        place: Any = document
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    return change


class Forgery:
    """The members of a bundle, to be changed. `write` sorts metadata as the writer does."""

    def __init__(self, sample: Sample, directory: Path, *keys: PrivateKey) -> None:
        path = sample.write(directory / "genuine.tar", *keys)
        with ArchiveReader(path) as reader:
            self.members = {name: reader.read_member(name, 1 << 30) for name in reader.members}
        self.data = [blob_name(blob.digest) for blob in sample.assembly.data]
        self.root = sample.assembly.root.digest

    def find(self, wanted: Callable[[Document], bool]) -> Digest:
        """The one document for which `wanted` holds."""
        found = []
        for name, body in self.members.items():
            if name.startswith("blobs/") and body.startswith(b"{"):
                document = json.loads(body)
                if isinstance(document, dict) and wanted(document):
                    found.append(Digest("sha256:" + name.removeprefix("blobs/sha256/")))
        (one,) = found
        return one

    def bytes_of(self, digest: Digest) -> bytes:
        return self.members[blob_name(digest)]

    def edit(self, digest: Digest, change: Callable[[Document], None]) -> Digest:
        """Change a document and whatever names it, up to the index files."""
        document = json.loads(self.bytes_of(digest))
        change(document)
        return self.replace(digest, strictjson.canonical(document))

    def replace(self, digest: Digest, body: bytes, size_bytes: int | None = None) -> Digest:
        """Put other bytes in a blob's place. `size_bytes` is what descriptors will say."""
        new = Digest.of(body)
        place = blob_name(digest)
        self.data = [blob_name(new) if name == place else name for name in self.data]
        self.members[blob_name(new)] = body
        if new == digest:
            return new
        del self.members[place]
        if self.root == digest:
            self.root = new
        while naming := [name for name, other in self.members.items() if digest.hex.encode() in other]:
            name = naming[0]
            renamed = json.loads(self.members[name].replace(digest.hex.encode(), new.hex.encode()))
            _resize(renamed, new.text, len(body) if size_bytes is None else size_bytes)
            again = strictjson.canonical(renamed)
            if name.startswith("blobs/"):
                self.replace(Digest("sha256:" + name.removeprefix("blobs/sha256/")), again)
            else:
                self.members[name] = again
        return new

    def index(self, change: Callable[[Document], None]) -> None:
        document = json.loads(self.members[INDEX])
        change(document)
        self.members[INDEX] = strictjson.canonical(document)

    def in_order(self) -> list[tuple[str, bytes]]:
        ends = (OCI_LAYOUT, DOCKER_INDEX, INDEX)
        metadata = sorted(name for name in self.members if name not in (*ends, *self.data))
        names = [OCI_LAYOUT, *self.data, *metadata, DOCKER_INDEX, INDEX]
        return [(name, self.members[name]) for name in names]

    def make_index_fit(self) -> None:
        """Make the index files again, where ROOT and its referrers still make any."""
        entries = json.loads(self.members[INDEX])["manifests"][1:]
        listed = [Digest(e["digest"]) for e in entries if "kind" in e.get("annotations", {}) or "sigstore" in str(e)]
        root = Descriptor(OCI_INDEX, self.root, len(self.bytes_of(self.root)))
        try:
            layout = lay_out(
                walk(root, lambda blob: self.bytes_of(blob.digest)), [self.bytes_of(one) for one in listed]
            )
        except (DocumentError, KeyError):
            return
        self.members[INDEX], self.members[DOCKER_INDEX] = layout.index, layout.docker_index

    def write(self, path: Path) -> Path:
        path.write_bytes(raw(self.in_order()))
        return path


def _resize(value: object, digest: str, size_bytes: int) -> None:
    if isinstance(value, dict):
        if value.get("digest") == digest and "size" in value:
            value["size"] = size_bytes
        for child in value.values():
            _resize(child, digest, size_bytes)
    elif isinstance(value, list):
        for child in value:
            _resize(child, digest, size_bytes)
