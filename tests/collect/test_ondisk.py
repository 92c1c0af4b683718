from __future__ import annotations

import json
import subprocess
import uuid
from contextlib import ExitStack
from pathlib import Path

import pytest
from tars import make_tar
from test_saved import CONFIG, DIFF_IDS, LAYERS, classic, containerd, legacy

from bundler.collect import ondisk
from bundler.collect.paths import SourceTree
from bundler.collect.sources import ImageSource, UpstreamImage
from bundler.errors import SourceError
from bundler.model.oci import Digest, Platform

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")


def find(tree: SourceTree, image: str, *platforms: Platform):  # type: ignore[no-untyped-def]
    source = ImageSource("web", ("web",), image, None)
    with ExitStack() as stack:
        found, openers = ondisk.find(tree, source, platforms or (AMD64,), stack)
        return found, {digest: b"".join(opener()) for digest, opener in openers.items()}


def docker_archive(made) -> bytes:  # type: ignore[no-untyped-def]
    entries, _ = made()
    names = [name for diff_id in DIFF_IDS for name, data in entries.items() if data == LAYERS[DIFF_IDS.index(diff_id)]]
    if made is legacy:
        names[0] = "a" * 64 + "/layer.tar"  # the one that is a link
    config = next(name for name, data in entries.items() if data == CONFIG)
    listed = [
        {"Config": config, "RepoTags": ["acme/web:1"], "Layers": names},
        {"Config": config, "RepoTags": ["acme/web:2"], "Layers": names},
    ]
    return make_tar({**entries, "manifest.json": json.dumps(listed).encode()})


def layout(index_entries: int = 1) -> dict[str, bytes | str | None]:
    blobs, index = containerd()
    top = json.loads(blobs[f"blobs/sha256/{index.hex}"] or b"")["manifests"][1]
    listed = [
        {**top, "annotations": {"org.opencontainers.image.ref.name": f"v{n}"}, "size": top["size"]}
        for n in range(index_entries)
    ]
    if index_entries > 1:
        listed[1]["digest"] = "sha256:" + "1" * 64
    return {
        **blobs,
        "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
        "index.json": json.dumps({"schemaVersion": 2, "manifests": listed}).encode(),
    }


def lay_out(directory: Path, files: dict[str, bytes | str | None]) -> None:
    for name, data in files.items():
        if isinstance(data, bytes):
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            (directory / name).write_bytes(data)


@pytest.mark.parametrize("made", [classic, legacy])
def test_a_docker_archive_is_read_in_place(tree: SourceTree, made) -> None:  # type: ignore[no-untyped-def]
    (tree.root / "web.tar").write_bytes(docker_archive(made))
    found, layers = find(tree, "docker-archive:./web.tar:acme/web:2")
    assert layers == dict(zip(DIFF_IDS, LAYERS, strict=True))
    packed = found.packed({digest: len(data) for digest, data in layers.items()})
    assert CONFIG in packed.documents.values()
    assert found.user == "app"


def test_one_of_several_images_must_be_named(tree: SourceTree) -> None:
    (tree.root / "web.tar").write_bytes(docker_archive(classic))
    with pytest.raises(SourceError, match="2 images") as refused:
        find(tree, "docker-archive:./web.tar")
    assert "acme/web:1, acme/web:2" in str(refused.value.hint)
    with pytest.raises(SourceError, match="no images with the name acme/other"):
        find(tree, "docker-archive:./web.tar:acme/other")


def test_the_platform_must_fit(tree: SourceTree) -> None:
    (tree.root / "web.tar").write_bytes(docker_archive(classic))
    with pytest.raises(SourceError, match="linux/amd64, not for linux/arm64"):
        find(tree, "docker-archive:./web.tar:acme/web:1", ARM64)


@pytest.mark.parametrize(
    "image", ["oci:./layout", "./layout", "oci:./layout:v0", "oci-archive:./layout.tar", "oci-archive:./layout.tar:v0"]
)
def test_a_layout_is_taken_byte_for_byte(tree: SourceTree, image: str) -> None:
    lay_out(tree.root / "layout", layout())
    (tree.root / "layout.tar").write_bytes(make_tar(layout()))
    found, layers = find(tree, image)
    assert isinstance(found, UpstreamImage)
    assert {Digest.of(data) for data in layers.values()} == set(layers)
    assert found.packed({}).documents[found.descriptor.digest] in layout().values()
    assert len(layers) == len(DIFF_IDS)


def test_a_tag_chooses(tree: SourceTree) -> None:
    lay_out(tree.root / "layout", layout(2))
    assert find(tree, "oci:./layout:v0")[0]
    with pytest.raises(SourceError, match="2 images") as refused:
        find(tree, "oci:./layout")
    assert "v0, v1" in str(refused.value.hint)


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda d: (d / "oci-layout").unlink(), "not an OCI layout"),
        (lambda d: (d / "index.json").write_text("{"), "index.json|not valid|JSON|Expecting"),
        (
            lambda d: next(p for p in (d / "blobs/sha256").iterdir() if b'"config"' in p.read_bytes()).write_bytes(
                b"{}"
            ),
            "damaged",
        ),
    ],
)
def test_damage_is_found(tree: SourceTree, damage, expected: str) -> None:  # type: ignore[no-untyped-def]
    lay_out(tree.root / "layout", layout())
    damage(tree.root / "layout")
    with pytest.raises(SourceError, match=expected):
        find(tree, "oci:./layout")


def test_a_blob_that_is_a_link_out_of_the_layout_is_refused(tree: SourceTree, tmp_path: Path) -> None:
    lay_out(tree.root / "layout", layout())
    index = tree.root / "layout/index.json"
    (tmp_path / "elsewhere").write_bytes(index.read_bytes())
    index.unlink()
    index.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SourceError, match="link out of"):
        find(tree, "oci:./layout")


@pytest.mark.parametrize("image", ["oci:../layout", "docker-archive:/tmp/x.tar", "oci-archive:./missing.tar"])
def test_what_lies_elsewhere_is_refused(tree: SourceTree, image: str) -> None:
    with pytest.raises(SourceError):
        find(tree, image)


@pytest.mark.engine
def test_what_a_real_docker_save_wrote_is_read_in_place(tree: SourceTree) -> None:
    name = f"collect-dev/saved-{uuid.uuid4().hex[:8]}"
    made = subprocess.run(["docker", "import", "-", name], input=LAYERS[1], capture_output=True)
    if made.returncode:
        pytest.fail(f"no engine to import an image into (scripts/engine up): {made.stderr.decode()}")
    try:
        subprocess.run(["docker", "save", "-o", str(tree.root / "saved.tar"), name], check=True)
    finally:
        subprocess.run(["docker", "rmi", name], capture_output=True)
    _, layers = find(tree, f"docker-archive:./saved.tar:{name}:latest")
    assert list(layers.values()) == [LAYERS[1]]
