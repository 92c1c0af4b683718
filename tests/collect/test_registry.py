"""A real registry on loopback, and what is taken from it."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from tars import make_tar

from bundler.collect.mirrors import Mirror
from bundler.collect.reference import Reference
from bundler.collect.registry import Repository
from bundler.collect.sources import ImageSource, upstream
from bundler.edges.http import HttpClient
from bundler.errors import SourceError
from bundler.model.oci import DOCKER_INDEX, DOCKER_MANIFEST, INDEX, MANIFEST, Digest, Platform

HTTP = httpx.Client()
AMD64, ARM64, S390 = (Platform("linux", name) for name in ("amd64", "arm64", "s390x"))


def program(name: str) -> str:
    cache = Path(os.environ.get("GRAPHBUNDLE_CACHE") or Path.home() / ".cache/graphbundle")
    found = shutil.which(name) or shutil.which(name, path=str(cache / "peers/bin"))
    if found is None:
        pytest.fail(f'{name} is missing: PATH="$(scripts/peers up):$PATH"')
    return found


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """HOST:PORT of an empty registry."""
    with serving(tmp_path_factory.mktemp("registry")) as address:
        yield address


@contextmanager
def serving(directory: Path, **more: object) -> Iterator[str]:
    """The same, with more of its configuration."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    config = {
        "version": 0.1,
        "log": {"level": "error"},
        "storage": {"filesystem": {"rootdirectory": str(directory / "data")}},
        "http": {"addr": address},
        **more,
    }
    (directory / "config.yml").write_text(json.dumps(config))
    argv = [program("docker-registry"), "serve", str(directory / "config.yml")]
    with (directory / "log").open("wb") as log, subprocess.Popen(argv, stdout=log, stderr=log) as process:
        try:
            for _ in range(200):
                try:
                    HTTP.get(f"http://{address}/v2/")
                    break
                except httpx.TransportError:
                    time.sleep(0.05)
            yield address
        finally:
            process.terminate()


def push_blob(base: str, data: bytes) -> dict[str, object]:
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    place = HTTP.post(f"{base}/blobs/uploads/").headers["location"]
    HTTP.put(place, params={**httpx.URL(place).params, "digest": digest}, content=data).raise_for_status()
    return {"digest": digest, "size": len(data)}


def push_image(base: str, architecture: str, *, docker: bool, tag: str | None = None) -> dict[str, object]:
    layer = make_tar({"etc/passwd": b"app:x:7:8::/:\n", "arch": architecture.encode()})
    config = {
        "os": "linux",
        "architecture": architecture,
        "config": {"User": "app"},
        "rootfs": {"type": "layers", "diff_ids": [Digest.of(layer).text]},
    }
    kind = "application/vnd.docker.container.image.v1+json" if docker else "application/vnd.oci.image.config.v1+json"
    layer_kind = (
        "application/vnd.docker.image.rootfs.diff.tar.gzip" if docker else "application/vnd.oci.image.layer.v1.tar+gzip"
    )
    media_type = DOCKER_MANIFEST if docker else MANIFEST
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": {"mediaType": kind, **push_blob(base, json.dumps(config, indent=3).encode())},
            "layers": [{"mediaType": layer_kind, **push_blob(base, gzip.compress(layer))}],
        },
        indent=4,
    ).encode()
    digest = Digest.of(manifest).text
    answer = HTTP.put(f"{base}/manifests/{tag or digest}", content=manifest, headers={"Content-Type": media_type})
    answer.raise_for_status()
    platform = {"os": "linux", "architecture": architecture}
    return {"mediaType": media_type, "digest": digest, "size": len(manifest), "platform": platform}


def push_index(base: str, tag: str, architectures: tuple[str, ...], *, docker: bool = False) -> bytes:
    media_type = DOCKER_INDEX if docker else INDEX
    entries = [push_image(base, architecture, docker=docker) for architecture in architectures]
    index = json.dumps({"schemaVersion": 2, "mediaType": media_type, "manifests": entries}, indent=1).encode()
    HTTP.put(f"{base}/manifests/{tag}", content=index, headers={"Content-Type": media_type}).raise_for_status()
    return index


def found(reference: str, *platforms: Platform):  # type: ignore[no-untyped-def]
    with HttpClient() as http:
        repository = Repository(http, Reference.parse(reference))
        top = repository.find()
        source = ImageSource("web", ("web",), reference, None)
        image = upstream(source, top.descriptor, top.data, repository, platforms)
        for digest, opener in image.openers().items():
            assert Digest.of(b"".join(opener())) == digest
        return image


@pytest.mark.peers
@pytest.mark.parametrize("docker", [False, True])
def test_one_platform_is_upstreams_manifest_byte_for_byte(registry: str, *, docker: bool) -> None:
    base = f"http://{registry}/v2/acme/one{docker}".lower()
    index = push_index(base, "1", ("amd64", "arm64"), docker=docker)
    image = found(f"{registry}/acme/one{docker}:1".lower(), ARM64)
    entry = json.loads(index)["manifests"][1]
    assert image.descriptor.digest.text == entry["digest"]
    assert image.user == "app"
    packed = image.packed({})
    assert Digest.of(index) not in packed.documents
    assert {Digest.of(data) for data in packed.documents.values()} == set(packed.documents)


@pytest.mark.peers
def test_all_platforms_are_upstreams_index_byte_for_byte(registry: str) -> None:
    index = push_index(f"http://{registry}/v2/acme/all", "1", ("amd64", "arm64"))
    image = found(f"{registry}/acme/all:1", ARM64, AMD64)
    assert image.descriptor.digest == Digest.of(index)
    assert image.packed({}).documents[Digest.of(index)] == index


@pytest.mark.peers
def test_some_platforms_are_a_small_index_over_upstreams_manifests(registry: str) -> None:
    index = push_index(f"http://{registry}/v2/acme/some", "1", ("amd64", "arm64", "s390x"))
    image = found(f"{registry}/acme/some:1", S390, AMD64)
    document = json.loads(image.packed({}).documents[image.descriptor.digest])
    upstreams = {e["digest"] for e in json.loads(index)["manifests"] if e["platform"]["architecture"] != "arm64"}
    assert {e["digest"] for e in document["manifests"]} == upstreams


@pytest.mark.peers
def test_a_plain_manifest_is_taken_for_its_platform_only(registry: str) -> None:
    push_image(f"http://{registry}/v2/acme/plain", "amd64", docker=False, tag="1")
    assert found(f"{registry}/acme/plain:1", AMD64)
    with pytest.raises(SourceError, match="for linux/amd64 only"):
        found(f"{registry}/acme/plain:1", ARM64)


@pytest.mark.peers
def test_what_is_not_there_is_said_with_what_is(registry: str) -> None:
    push_index(f"http://{registry}/v2/acme/none", "1", ("amd64", "arm64"))
    with pytest.raises(SourceError, match="not there for linux/s390x") as refused:
        found(f"{registry}/acme/none:1", S390)
    assert "linux/amd64, linux/arm64" in str(refused.value.hint)
    with pytest.raises(SourceError, match="answers 404"):
        found(f"{registry}/acme/none:2", AMD64)


@pytest.mark.peers
def test_a_digest_in_the_reference_is_what_counts(registry: str) -> None:
    index = push_index(f"http://{registry}/v2/acme/pinned", "1", ("amd64",))
    image = found(f"{registry}/acme/pinned:1@{Digest.of(index)}", AMD64)
    assert image.descriptor.digest.text == json.loads(index)["manifests"][0]["digest"]


@pytest.mark.peers
def test_a_mirror_has_the_very_bytes_under_its_own_path(registry: str) -> None:
    index = push_index(f"http://{registry}/v2/hub/library/kept", "1", ("amd64", "arm64"))
    reference, mirror = Reference.parse("kept:1"), Mirror.parse(f"index.docker.io={registry}/hub")
    with HttpClient() as http:
        repository = Repository(http, reference, mirror)
        top = repository.find()
        assert top.data == index
        image = upstream(ImageSource("web", ("web",), "kept:1", None), top.descriptor, top.data, repository, [ARM64])
        for digest, opener in image.openers().items():
            assert Digest.of(b"".join(opener())) == digest
        with pytest.raises(SourceError, match=rf"acme/x:2 \(mirrored as {registry}/hub/acme/x:2\): not there"):
            Repository(http, Reference.parse("acme/x:2"), mirror).find()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("alpine", "docker.io/library/alpine:latest"),
        ("acme/web:1", "docker.io/acme/web:1"),
        ("localhost/x", "localhost/x:latest"),
        ("127.0.0.1:5000/a/b:t", "127.0.0.1:5000/a/b:t"),
        ("index.docker.io/library/alpine", "docker.io/library/alpine:latest"),
        ("a.example/b@sha256:" + "0" * 64, "a.example/b@sha256:" + "0" * 64),
        ("a.example/b:t@sha256:" + "0" * 64, "a.example/b:t@sha256:" + "0" * 64),
    ],
)
def test_references_are_completed(text: str, expected: str) -> None:
    assert str(Reference.parse(text)) == expected


@pytest.mark.parametrize(
    "text",
    ["", "UPPER", "a b", "a:", "a@sha256:1", "-x", "a//b", "../x", "a:b:c", "x" * 300, "a@md5:00", "$(id)", "--flag",
     "localhost:65536/a", "a.example:99999/b", "[:::]/a", "[::1/a"],
)  # fmt: skip
def test_what_names_no_image_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Reference.parse(text)
