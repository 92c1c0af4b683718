"""A library's artifact: one canonical tar as a bundle's, and none that says something else is read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sample

from bundler.errors import SourceError, TrustError
from bundler.layout import strictjson
from bundler.layout.archive import ArchiveReader, ArchiveWriter
from bundler.layout.closure import MAX_LIBRARY_BYTES, walk
from bundler.layout.documents import METADATA_LIMIT_BYTES, DocumentError
from bundler.layout.library import assemble
from bundler.layout.names import bundle_repository
from bundler.layout.read import read_bundle
from bundler.model.bundle import VerifiedLibrary
from bundler.model.oci import EMPTY, INDEX, MANIFEST, Descriptor, Digest
from bundler.trust.keys import PrivateKey
from bundler.trust.policy import Policy
from bundler.trust.sign import sign_root
from bundler.trust.verify import verify, verify_library

KEY, OTHER = sample.key(1), sample.key(2)
FILES = {"queue@1.5.yaml": b"component: queue\n", "tracker@2.1.yaml": b"component: tracker\n"}

Document = dict[str, Any]


def library(path: Path, *keys: PrivateKey, files: dict[str, bytes] | None = None) -> Path:
    assembly = assemble("acme", "1.0", FILES if files is None else files)
    with ArchiveWriter(path) as writer:
        writer.finish(assembly, sign_root(assembly.root, bundle_repository("acme"), *keys) if keys else ())
    return path


def verified(path: Path, policy: Policy) -> VerifiedLibrary:
    with ArchiveReader(path) as reader:
        return verify_library(reader, policy)


def test_what_is_packed_is_what_is_read_and_the_same_files_are_the_same_bytes(tmp_path: Path) -> None:
    first = library(tmp_path / "a.tar", KEY)
    again = library(tmp_path / "b.tar", KEY, files=dict(reversed(FILES.items())))
    assert first.read_bytes() == again.read_bytes()
    found = verified(first, sample.trusting(KEY.public))
    assert (found.name, found.version, found.files) == ("acme", "1.0", FILES)
    assert [(one.name, one.trusted) for one in found.signers] == [("key-1", True)]


def test_any_changed_byte_is_refused(tmp_path: Path) -> None:
    whole = library(tmp_path / "a.tar", KEY).read_bytes()
    policy = sample.trusting(KEY.public)
    for place in range(0, len(whole), 211):
        changed = bytearray(whole)
        changed[place] ^= 1
        (tmp_path / "b.tar").write_bytes(changed)
        with pytest.raises(TrustError):
            verified(tmp_path / "b.tar", policy)


@pytest.mark.parametrize(
    ("keys", "trusted", "reason"),
    [((), KEY, "nobody signed it"), ((OTHER,), KEY, "signed by unknown key"), ((KEY,), OTHER, "signed by unknown key")],
)
def test_who_signed_decides(tmp_path: Path, keys: tuple[PrivateKey, ...], trusted: PrivateKey, reason: str) -> None:
    path = library(tmp_path / "a.tar", *keys)
    with pytest.raises(TrustError, match=reason):
        verified(path, sample.trusting(trusted.public))
    assert verified(path, sample.trusting(trusted.public, allow_unsigned=True)).files == FILES


def test_a_signature_of_another_library_is_refused(tmp_path: Path) -> None:
    first, second = assemble("acme", "1.0", FILES), assemble("acme", "1.1", FILES)
    with ArchiveWriter(tmp_path / "a.tar") as writer, pytest.raises(DocumentError, match="its subject is not"):
        writer.finish(second, sign_root(first.root, bundle_repository("acme"), KEY))


def test_a_bundle_is_no_library_and_a_library_no_bundle(tmp_path: Path) -> None:
    policy = sample.trusting(KEY.public)
    bundle, made = sample.smallest().write(tmp_path / "bundle.tar", KEY), library(tmp_path / "library.tar", KEY)
    with pytest.raises(TrustError, match="is a bundle, not a library of components") as caught:
        verified(bundle, policy)
    assert caught.value.hint == f"what is in it: bundle inspect {bundle}"
    for read in (read_bundle, lambda reader: verify(reader, policy)):
        with (
            ArchiveReader(made) as reader,
            pytest.raises(TrustError, match="is a library of components, not a") as caught,
        ):
            read(reader)
        assert (
            caught.value.hint == f"to verify it and write its components beside a graph: bundle components pull {made}"
        )


def test_what_is_no_component_or_too_large_is_not_packed() -> None:
    for files, reason in (
        ({}, "0 components"),
        ({"README.md": b""}, "not the name of a component's file: 'README.md'"),
        ({"queue@1.yaml": bytes(METADATA_LIMIT_BYTES + 1)}, "at most 4194304 are read"),
        ({f"queue@{n}.yaml": b"%d" % n * METADATA_LIMIT_BYTES for n in range(5)}, "at most 16777216 are read"),
        ({f"queue@{n}.yaml": b"" for n in range(1001)}, "1001 components, at most 1000 are read"),
    ):
        with pytest.raises(SourceError, match=reason):
            assemble("acme", "1.0", files)
    assert MAX_LIBRARY_BYTES == 16777216


def title(place: int, name: object) -> Callable[[Document], None]:
    return lambda root: root["layers"][place].update(annotations={"org.opencontainers.image.title": name})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        *(
            (title(0, name), "not the name of a component's file")
            for name in ("../q@1.yaml", "a/q@1.yaml", "q@1.yaml\n")
        ),
        *((title(0, name), "not the name of a component's file") for name in ("/q@1.yaml", "q@..", "library.json", "")),
        (title(0, "tracker@2.1.yaml"), "not in order, or one is there twice"),
        (title(0, "z@1.yaml"), "not in order"),
        (title(0, 1), "is not a text"),
        (lambda root: root["layers"][0].update(mediaType="text/plain"), "of media type 'text/plain'"),
        (lambda root: root["layers"][0].update(size=5 << 20), "5242880 bytes, at most"),
        (lambda root: root["layers"].append({**root["layers"][1], "size": 3}), "in order"),
        (lambda root: root["layers"][1].update(digest=root["layers"][0]["digest"]), "with two sizes"),
        (lambda root: root.update(layers=[]), "0 components"),
        (lambda root: root.update(artifactType="text/plain"), "not a library: its artifact type is 'text/plain'"),
        (lambda root: root.pop("artifactType"), "not a library: its artifact type is None"),
        (lambda root: root.update(subject=root["config"]), "not a library"),
        (lambda root: root.update(config={**root["layers"][0]}), "not a library"),
        (lambda root: root["annotations"].update({"org.opencontainers.image.title": "../x"}), "not a name"),
        (lambda root: root["annotations"].update({"org.opencontainers.image.version": "a/b"}), "not a version"),
        (lambda root: root.update(manifests=[]), "a manifest with `manifests`"),
    ],
)
def test_a_root_that_says_something_else_is_refused(change: Callable[[Document], object], reason: str) -> None:
    root = json.loads(assemble("acme", "1.0", FILES).root_bytes)
    assert (root["mediaType"], root["config"]["mediaType"]) == (MANIFEST, EMPTY)
    change(root)
    data = strictjson.canonical(root)
    with pytest.raises(DocumentError, match=reason):
        walk(Descriptor(MANIFEST, Digest.of(data), len(data)), lambda _: data)


def test_a_library_called_an_index_is_refused() -> None:
    made = assemble("acme", "1.0", FILES)
    with pytest.raises(DocumentError, match="its media type is"):
        walk(Descriptor(INDEX, made.root.digest, made.root.size_bytes), lambda _: made.root_bytes)
