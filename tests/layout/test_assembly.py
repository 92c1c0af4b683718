import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sample

from bundler.errors import SourceError
from bundler.layout import names, strictjson
from bundler.layout.archive import ArchiveReader
from bundler.layout.assembly import PackedConfig
from bundler.layout.closure import MODEL_MANIFEST
from bundler.layout.read import read_bundle
from bundler.model.oci import GRAPH_MANIFEST, Descriptor, Digest


def index_of(path: Path) -> list[dict[str, Any]]:
    with ArchiveReader(path) as reader:
        return json.loads(reader.read_member("index.json"))["manifests"]  # type: ignore[no-any-return]


def docker_index_of(path: Path) -> list[dict[str, list[str]]]:
    with ArchiveReader(path) as reader:
        return json.loads(reader.read_member("manifest.json"))  # type: ignore[no-any-return]


def test_a_bundle_is_read_back_as_it_was_packed(tmp_path: Path) -> None:
    made = sample.whole()
    with ArchiveReader(made.write(tmp_path / "b")) as reader:
        bundle = read_bundle(reader)
        assert (bundle.graph.name, bundle.graph.version) == ("tiny", "1.0.0")
        assert bundle.root == made.assembly.root
        assert bundle.images_of == (("db", "db"), ("ingest", "web"), ("web", "web"))
        assert bundle.users == (("db", "10001:10001"),)
        db, web = bundle.images
        assert [str(image.platform) for image in db.platforms] == ["linux/amd64"]
        assert [str(image.platform) for image in web.platforms] == ["linux/amd64", "linux/arm64"]
        assert web.source == "registry.example/acme/web:1"
        assert web.reference == f"bundle.local/tiny/web:1.0.0-{web.descriptor.digest.short}"
        (weights,) = bundle.models
        assert weights.license == "apache-2.0"
        for file in weights.files:
            layer = next(layer for layer in weights.layers if layer.digest == file.layer)
            body = b"".join(reader.stream(layer))[file.offset_bytes :][: file.size_bytes]
            assert Digest.of(body) == file.digest
        prompts, settings = bundle.configs
        assert [file.path for file in prompts.files] == ["a/a.txt", "b.txt"]
        assert (prompts.template, settings.template) == (True, False)
        assert reader.read(settings.files[0].blob) == b"port = 1\n"
        assert json.loads(bundle.graph_document)["graph"]["bundle"] == "tiny"


def test_the_order_of_inputs_does_not_matter() -> None:
    document = {"services": {"a": {"image": "x"}, "b": {"image": "y"}}}
    a, b = (sample.image(name, [name], [{"f": name.encode()}]) for name in ("a", "b"))
    assert sample.sample(document, [a, b]).assembly == sample.sample(document, [b, a]).assembly


def test_upstream_bytes_are_kept(tmp_path: Path) -> None:
    web = sample.image("web", ["web"], [{"f": b""}], ("amd64", "arm64"))
    made = sample.sample({"services": {"web": {"image": "x"}}}, [web])
    for digest, data in web.packed.documents.items():
        assert made.assembly.metadata[digest] == data


def test_index_names_follow_the_rules_that_tools_forced(tmp_path: Path) -> None:
    entries = index_of(sample.whole().write(tmp_path / "b", sample.key(), sample.key(2)))
    annotations = [entry.get("annotations", {}) for entry in entries]
    assert annotations[0] == {
        "org.opencontainers.image.ref.name": "1.0.0",
        "io.containerd.image.name": "bundle.local/tiny:1.0.0",
        "kind": "dev.cosignproject.cosign/imageIndex",
    }
    tags = [
        one["org.opencontainers.image.ref.name"] for one in annotations if "org.opencontainers.image.ref.name" in one
    ]  # type: ignore[operator, index]
    assert tags == ["1.0.0", "db-1.0.0", "web-1.0.0", "weights-1.0.0"]
    full = [one[names.CONTAINERD_NAME] for one in annotations if names.CONTAINERD_NAME in one]
    assert all(str(name).startswith("bundle.local/tiny") for name in full)
    assert sum("@sha256:" in str(name) for name in full) == 3
    nameless = [entry["artifactType"] for entry in entries if "annotations" not in entry]
    assert nameless == [GRAPH_MANIFEST, MODEL_MANIFEST]


def test_docker_gets_one_platform(tmp_path: Path) -> None:
    entries = docker_index_of(sample.whole().write(tmp_path / "b"))
    assert [entry["RepoTags"][0].split(":")[0] for entry in entries] == [
        "bundle.local/tiny/db",
        "bundle.local/tiny/web",
        "bundle.local/tiny/weights",
    ]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (["amd64", "arm64"], ["arm64", "amd64"], "amd64"),
        (["amd64", "arm64"], ["arm64"], "arm64"),
        (["s390x", "arm64", "ppc64le"], ["s390x", "ppc64le"], "ppc64le"),
        (["amd64"], ["arm64"], None),
    ],
)
def test_docker_gets_amd64_or_else_what_all_have(
    tmp_path: Path, first: list[str], second: list[str], expected: str | None
) -> None:
    images = [sample.image("a", ["a"], [{"f": b"a"}], first), sample.image("b", ["b"], [{"f": b"b"}], second)]
    made = sample.sample({"services": {"a": {"image": "x"}, "b": {"image": "y"}}}, images)
    path = made.write(tmp_path / "b")
    found = []
    with ArchiveReader(path) as reader:
        for entry in docker_index_of(path):
            found.append(json.loads(reader.read_member(entry["Config"]))["architecture"])  # type: ignore[arg-type]
    assert found == ([expected] * 2 if expected else [])


def test_a_manifest_by_itself_gets_its_platform_from_its_config() -> None:
    made = sample.smallest().assembly
    root = json.loads(made.root_bytes)
    assert root["manifests"][1]["platform"] == {"architecture": "amd64", "os": "linux"}


def test_long_names_and_versions_still_make_tags(tmp_path: Path) -> None:
    version, name = "1" * 100, "a" * 63
    web = sample.image(name, ["web"], [{"f": b""}])
    made = sample.sample({"services": {"web": {"image": "x"}}}, [web], version=version)
    entries = index_of(made.write(tmp_path / "b"))
    tags = [
        entry["annotations"].get("org.opencontainers.image.ref.name", "x")
        for entry in entries
        if "annotations" in entry
    ]  # type: ignore[attr-defined]
    assert all(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", tag) for tag in tags)
    assert len(read_bundle(ArchiveReader(tmp_path / "b")).images[0].reference.rsplit(":", 1)[1]) <= 128


def test_tags_that_are_cut_still_differ() -> None:
    version = "-".join(["1111"] * 20)
    assert len({names.image_tag(version, "a" * 50 + end) for end in ("", "-1111", "-1111-1111")}) == 3


@pytest.mark.parametrize("path", ["a", "a/b", "é.txt", "a b", ".hidden", "a..b", "模型.bin"])
def test_a_path_of_a_file_is_one(path: str) -> None:
    assert names.is_file_path(path)


@pytest.mark.parametrize(
    "path",
    ["", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a\\b", "a\nb", "\x1b[2J", "a\u200bb", "a\u00a0b"],
)
def test_what_is_no_path_of_a_file_is_refused(path: str) -> None:
    assert not names.is_file_path(path)


@pytest.mark.parametrize("version", ["", "a b", "1/2", "1+2", "x" * 101, ".1", "-1", "1\n"])
def test_a_version_that_makes_no_tag_is_not_one(version: str) -> None:
    assert not names.is_version(version)


def without(image: sample.Image, digest: Digest) -> sample.Image:
    documents = {key: value for key, value in image.packed.documents.items() if key != digest}
    return sample.Image(replace(image.packed, documents=documents), image.layers)


def test_what_is_missing_or_damaged_is_found_before_anything_is_written() -> None:
    graph = {"services": {"web": {"image": "x"}}}
    web = sample.image("web", ["web"], [{"f": b""}], ("amd64", "arm64"))
    for digest in web.packed.documents:
        with pytest.raises(SourceError, match=digest.hex):
            sample.sample(graph, [without(web, digest)])
        damaged = replace(web.packed, documents={**web.packed.documents, digest: b"{}"})
        with pytest.raises(SourceError, match="damaged"):
            sample.sample(graph, [sample.Image(damaged, {})])
    with pytest.raises(SourceError, match="not packed"):
        sample.sample(graph, [sample.Image(replace(web.packed, layers=()), {})])
    top = web.packed.descriptor
    for wrong in (Descriptor(top.media_type, top.digest, top.size_bytes + 1), Descriptor("text/plain", top.digest, 1)):
        with pytest.raises(SourceError):
            sample.sample(graph, [sample.Image(replace(web.packed, descriptor=wrong), {})])


def test_a_config_file_has_at_most_4_mib() -> None:
    graph = {
        "services": {"web": {"image": "x", "configs": ["c:/c"]}},
        "configs": {"c": {"file": "./c"}},
    }
    web = sample.image("web", ["web"], [{"f": b""}])
    sample.sample(graph, [web], (), [PackedConfig("c", template=False, files=(("", bytes(4 << 20)),))])
    with pytest.raises(SourceError, match="config c: 4194305 bytes"):
        sample.sample(graph, [web], (), [PackedConfig("c", template=False, files=(("", bytes((4 << 20) + 1)),))])


def test_a_layer_shared_by_model_and_image_is_stored_once_with_the_model(tmp_path: Path) -> None:
    weights = sample.model("weights", [{"w": b"same"}])
    web = sample.image("web", ["web"], [{"f": b""}])
    ((digest, body),) = weights.layers.items()
    # an image whose only layer is the model's
    config = next(data for data in web.packed.documents.values() if b"diff_ids" in data)
    manifest = strictjson.canonical(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": sample.describe("application/vnd.oci.image.config.v1+json", config),
            "layers": [sample.describe("application/vnd.oci.image.layer.v1.tar", body)],
        }
    )
    packed = replace(
        web.packed,
        descriptor=Descriptor("application/vnd.oci.image.manifest.v1+json", Digest.of(manifest), len(manifest)),
        documents={Digest.of(config): config, Digest.of(manifest): manifest},
        layers=weights.packed.layers,
    )
    made = sample.sample(
        {"services": {"web": {"image": "x", "models": ["weights:/m"]}}, "models": {"weights": {"from": "./w"}}},
        [sample.Image(packed, weights.layers)],
        [weights],
    )
    assert [blob.digest for blob in made.assembly.data] == [digest]
    read_bundle(ArchiveReader(made.write(tmp_path / "b")))
