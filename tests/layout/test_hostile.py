"""The hostile inputs of reliability section B, as far as they are a bundle's contents; `test_hostile_container` has A.

Each is a bundle that somebody made to be read by us. All of them are refused with one line that names the culprit,
and without a signature being asked for: `read_bundle` itself refuses.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import sample
from forgery import Document, Forgery, put, raw
from refusing import forged, refused

from bundler.errors import BundleError, TrustError
from bundler.layout import strictjson
from bundler.layout.archive import ArchiveReader
from bundler.layout.read import read_bundle
from bundler.layout.tar import DOCKER_INDEX, INDEX, OCI_LAYOUT, blob_name
from bundler.model.oci import Digest


def read_all(path: Path) -> None:
    with ArchiveReader(path) as reader:
        read_bundle(reader)
        reader.check_every_byte()


def test_a_genuine_bundle_is_read_by_the_same_means(tmp_path: Path) -> None:
    forgery = forged(tmp_path)
    assert forgery.write(tmp_path / "b").read_bytes() == (tmp_path / "genuine.tar").read_bytes()
    edited = forgery.edit(forgery.root, lambda _: None)
    assert edited == forgery.root
    read_bundle(ArchiveReader(forgery.write(tmp_path / "b")))


# --- B: the contents


def test_h21_every_blob_in_turn(tmp_path: Path) -> None:
    forgery = forged(tmp_path)
    for name in [name for name in forgery.members if name.startswith("blobs/")]:
        genuine = forgery.members[name]
        forgery.members[name] = bytes([genuine[0] ^ 1]) + genuine[1:]
        with pytest.raises(TrustError, match=name.removeprefix("blobs/sha256/")):
            read_all(forgery.write(tmp_path / "b"))
        forgery.members[name] = genuine


def is_root(document: Document) -> bool:
    return str(document.get("artifactType", "")).endswith("graphbundle.bundle.v1+json")


def is_graph_manifest(document: Document) -> bool:
    return str(document.get("artifactType", "")).endswith("graphbundle.manifest.v1+json")


def is_pack(document: Document) -> bool:
    return str(document.get("artifactType", "")).endswith("model.manifest.v1+json")


def is_graph(document: Document) -> bool:
    return "pins" in document


def is_image_index(document: Document) -> bool:
    return "manifests" in document and "artifactType" not in document and len(document["manifests"]) == 3


def is_model_index(document: Document) -> bool:
    return "manifests" in document and "artifactType" not in document and len(document["manifests"]) == 2


def is_docker_manifest(document: Document) -> bool:
    return document.get("mediaType") == "application/vnd.docker.distribution.manifest.v2+json"


Change = Callable[[Document], object]


def drop(*path: str | int) -> Change:
    def change(document: Document) -> None:
        place = document
        for key in path[:-1]:
            place = place[key]  # type: ignore[index]
        del place[path[-1]]  # type: ignore[arg-type]

    return change


def deep(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = [value]
    return value


HEX = "0a" * 32
TITLE = ("annotations", "org.opencontainers.image.title")
VERSION = ("annotations", "org.opencontainers.image.version")
IMAGE = ("manifests", 1, "annotations")
FILES = ("layers", 0, "annotations", "dev.graphbundle.files")
CONFIG = ("pins", "configs", "prompts", "files", 0)


def file(path: str, offset: int = 512, size: int = 1) -> Change:
    """Say that the model's first layer holds this file and no other."""
    listed = [{"path": path, "offset": offset, "size": size, "digest": f"sha256:{HEX}"}]
    return put(*FILES, value=json.dumps(listed))


OTHER = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": f"sha256:{HEX}", "size": 10}
TABLE: list[tuple[str, Callable[[Document], bool], Change]] = [
    # sizes
    ("H22 size too small", is_docker_manifest, put("layers", 0, "size", value=1)),
    ("H22 size too big", is_docker_manifest, put("layers", 0, "size", value=1 << 40)),
    ("H22 size negative", is_docker_manifest, put("layers", 0, "size", value=-1)),
    ("H22 size a float", is_docker_manifest, put("layers", 0, "size", value=10240.0)),
    ("H22 size true", is_docker_manifest, put("layers", 0, "size", value=True)),
    ("H22 size a text", is_docker_manifest, put("layers", 0, "size", value="10240")),
    ("H22 size 2^63", is_docker_manifest, put("layers", 0, "size", value=(1 << 63) - 1)),
    ("H22 no size", is_docker_manifest, drop("layers", 0, "size")),
    # digests
    ("H23 digest a path", is_docker_manifest, put("layers", 0, "digest", value="sha256:../../x")),
    ("H23 digest short", is_docker_manifest, put("layers", 0, "digest", value="sha256:" + "0a" * 31)),
    ("H23 digest upper case", is_docker_manifest, put("layers", 0, "digest", value="sha256:" + "0A" * 32)),
    ("H23 digest with a newline", is_docker_manifest, put("layers", 0, "digest", value=f"sha256:{HEX}\n")),
    ("H23 digest of sha512", is_docker_manifest, put("layers", 0, "digest", value="sha512:" + "0a" * 64)),
    ("H23 digest of md5", is_docker_manifest, put("layers", 0, "digest", value="md5:" + "0a" * 16)),
    ("H23 no digest", is_docker_manifest, drop("layers", 0, "digest")),
    ("H23 digest a number", is_docker_manifest, put("layers", 0, "digest", value=1)),
    # what a document is
    ("H24 layers and manifests", is_docker_manifest, put("manifests", value=[])),
    ("H24 an index with layers", is_image_index, put("layers", value=[])),
    ("H24 media type lies", is_docker_manifest, put("mediaType", value="application/vnd.oci.image.manifest.v1+json")),
    ("H24 no media type in Docker's", is_docker_manifest, drop("mediaType")),
    ("H24 schema 1", is_docker_manifest, put("schemaVersion", value=1)),
    ("H24 schema true", is_docker_manifest, put("schemaVersion", value=True)),
    ("H24 schema 2.0", is_docker_manifest, put("schemaVersion", value=2.0)),
    ("H24 no config", is_docker_manifest, drop("config")),
    ("H24 layers an object", is_docker_manifest, put("layers", value={})),
    ("H24 annotations a list", is_docker_manifest, put("annotations", value=[])),
    ("H24 an annotation a number", is_docker_manifest, put("annotations", value={"a": 1})),
    ("H25 nested", is_docker_manifest, put("x", value=deep(40))),
    (
        "H27 an index in an index",
        is_image_index,
        put("manifests", 0, "mediaType", value="application/vnd.oci.image.index.v1+json"),
    ),
    # ROOT
    ("H24 ROOT of another artifact type", is_root, put("artifactType", value="application/x")),
    ("H24 ROOT without artifact type", is_root, drop("artifactType")),
    ("H27 ROOT empty", is_root, put("manifests", value=[])),
    ("H29 ROOT with a name for a path", is_root, put(*TITLE, value="../x")),
    ("H30 ROOT with a long name", is_root, put(*TITLE, value="x" * 64)),
    ("H30 ROOT with a name for an option", is_root, put(*TITLE, value="--yes")),
    ("H30 ROOT with another name", is_root, put(*TITLE, value="other")),
    ("H30 ROOT with another version", is_root, put(*VERSION, value="2")),
    ("H30 ROOT with a version for a path", is_root, put(*VERSION, value="../2")),
    ("H30 image with a name for a path", is_root, put(*IMAGE, "dev.graphbundle.name", value="../x")),
    ("H30 image without a name", is_root, drop(*IMAGE, "dev.graphbundle.name")),
    ("H30 image with another name", is_root, put(*IMAGE, "dev.graphbundle.name", value="aa")),
    ("H32 image with another source", is_root, put(*IMAGE, "dev.graphbundle.source", value="nginx")),
    ("H24 unknown role", is_root, put(*IMAGE, "dev.graphbundle.role", value="chart")),
    ("H24 an image as a model", is_root, put(*IMAGE, "dev.graphbundle.role", value="model")),
    ("H24 a model as an image", is_root, put("manifests", 3, "annotations", "dev.graphbundle.role", value="image")),
    ("H24 two graphs", is_root, lambda d: d["manifests"].insert(0, d["manifests"][0])),
    ("H24 no graph", is_root, drop("manifests", 0)),
    ("H24 out of order", is_root, lambda d: d["manifests"].reverse()),
    ("H24 an image twice", is_root, lambda d: d["manifests"].insert(1, d["manifests"][1])),
    ("H33 an image gone", is_root, drop("manifests", 1)),
    ("H33 a model gone", is_root, drop("manifests", 3)),
    ("H33 the image of a model gone", is_root, drop("manifests", 4)),
    ("H33 a manifest that is not there", is_root, lambda d: d["manifests"].append(OTHER)),
    ("H24 platform lies", is_root, put("manifests", 1, "platform", "architecture", value="../x")),
    ("H24 platform gone", is_root, drop("manifests", 1, "platform")),
    # image, model, graph
    ("H33 a layer that is not there", is_docker_manifest, put("layers", 0, "digest", value=f"sha256:{HEX}")),
    ("H34 a layer nobody names", is_docker_manifest, drop("layers", 1)),
    ("H35 no platform", is_image_index, put("manifests", value=[])),
    ("H33 a platform gone", is_image_index, drop("manifests", 0)),
    ("H24 pack of another type", is_pack, put("artifactType", value="application/x")),
    ("H33 pack without a layer", is_pack, drop("layers", 0)),
    ("H29 a model's file for a path", is_pack, file("../x")),
    ("H29 a model's file absolute", is_pack, file("/x")),
    ("H11 a model's file with an escape", is_pack, file("\x1b[2J")),
    ("H22 a model's file beyond its layer", is_pack, file("x", 512, 999999)),
    ("H22 a model's file before its layer", is_pack, file("x", -1, 1)),
    ("H25 a model's files not JSON", is_pack, put(*FILES, value="[")),
    ("H25 a model's files gone", is_pack, drop("layers", 0, "annotations")),
    ("H24 other layers as an image", is_model_index, drop("manifests", 0)),
    ("H33 graph's manifest names no graph", is_graph_manifest, put("config", "mediaType", value="text/plain")),
    ("H34 a config file nobody has", is_graph, put("pins", "configs", "prompts", "files", value=[])),
    ("H33 a config gone", is_graph, drop("pins", "configs", "prompts")),
    ("H29 a config's file for a path", is_graph, put(*CONFIG, "path", value="../../x")),
    ("H29 a config's file absolute", is_graph, put(*CONFIG, "path", value="/x")),
    ("H29 a config's file empty among others", is_graph, put(*CONFIG, "path", value="")),
    ("H29 a config's file twice", is_graph, put(*CONFIG, "path", value="b.txt")),
    ("H10 a config's file with a backslash", is_graph, put(*CONFIG, "path", value="a\\b")),
    ("H22 a config's file of another size", is_graph, put(*CONFIG, "size", value=2)),
    ("H25 template a text", is_graph, put("pins", "configs", "prompts", "template", value="yes")),
    ("H33 a config unknown", is_graph, put("pins", "configs", "other", value={"template": False, "files": []})),
    ("H24 another schema", is_graph, put("schema", value=2)),
    ("H24 more than graph and pins", is_graph, put("more", value=1)),
    ("H24 no pins", is_graph, drop("pins")),
    ("H24 pins a list", is_graph, put("pins", value=[])),
    ("H24 pins of images a list", is_graph, put("pins", "images", value=[])),
    ("H24 graph a list", is_graph, put("graph", value=[])),
    ("H24 graph empty", is_graph, put("graph", value={})),
    ("H30 graph with another name", is_graph, put("graph", "bundle", value="other")),
    ("H30 graph with a name for a path", is_graph, put("graph", "bundle", value="../x")),
    (
        "H30 a service with a name for an option",
        is_graph,
        lambda d: d["graph"]["services"].update({"--x": {"image": "x"}}),
    ),
    ("H24 graph with an unknown key", is_graph, put("graph", "privileged", value=True)),
    ("H33 a workload without an image", is_graph, drop("pins", "workloads", "web")),
    ("H33 a workload with an unknown image", is_graph, put("pins", "workloads", "web", value="nginx")),
    ("H33 an image for no workload", is_graph, put("pins", "workloads", "other", value="web")),
    ("H34 an image that no workload uses", is_graph, put("pins", "workloads", "db", value="web")),
    ("H50 an image pinned otherwise", is_graph, put("pins", "images", "web", "digest", value=f"sha256:{HEX}")),
    ("H50 a model pinned otherwise", is_graph, put("pins", "models", "weights", "pack", value=f"sha256:{HEX}")),
    (
        "H50 a model's image pinned otherwise",
        is_graph,
        put("pins", "models", "weights", "image", value=f"sha256:{HEX}"),
    ),
    ("H33 an image without a pin", is_graph, drop("pins", "images", "web")),
    ("H33 a pin without an image", is_graph, put("pins", "images", "other", value={"source": "x"})),
    ("H33 a model without a pin", is_graph, drop("pins", "models", "weights")),
    ("H74 a user that is no number", is_graph, put("pins", "users", "db", value="root")),
    ("H74 a user with more behind", is_graph, put("pins", "users", "db", value="0:0\n--privileged")),
    ("H33 a user of no workload", is_graph, put("pins", "users", "other", value="1:1")),
]


@pytest.mark.parametrize(("which", "change"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_contents(tmp_path: Path, which: Callable[[Document], bool], change: Change) -> None:
    forgery = forged(tmp_path)
    forgery.edit(forgery.find(which), lambda document: (change(document), None)[1])
    forgery.make_index_fit()
    error = refused(forgery.write(tmp_path / "b"))
    assert "is not what" not in error.what, "the change itself is to be refused, not that the index does not fit"


def test_every_row_of_the_table_has_its_name() -> None:
    assert len({row[0] for row in TABLE}) == len(TABLE)


@pytest.mark.parametrize(
    "body",
    [
        b'{"schemaVersion":2,"schemaVersion":2}',
        b"{}{}",
        b"\xef\xbb\xbf{}",
        b'{"schemaVersion":NaN}',
        b"[" * 100_000,
        b'{"a":"\\ud800"}',
        b'{"a":' + b"9" * 1_000_000 + b"}",
        b"",
        b"\0" * 100,
        b"null",
        b"[]",
    ],
    ids=range(11),
)
@pytest.mark.parametrize("which", [is_root, is_graph_manifest, is_graph, is_pack, is_image_index, is_docker_manifest])
def test_h25_json_of_other_kinds(tmp_path: Path, which: Callable[[Document], bool], body: bytes) -> None:
    forgery = forged(tmp_path)
    forgery.replace(forgery.find(which), body)
    refused(forgery.write(tmp_path / "b"))


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"{", b'{"schemaVersion":2,"manifests":[]}', b"\xff"])
@pytest.mark.parametrize("name", [INDEX, DOCKER_INDEX, OCI_LAYOUT])
def test_h25_index_files_of_other_kinds(tmp_path: Path, name: str, body: bytes) -> None:
    forgery = forged(tmp_path)
    forgery.members[name] = body
    refused(forgery.write(tmp_path / "b"))


def test_h26_metadata_of_more_than_4_mib(tmp_path: Path) -> None:
    forgery = forged(tmp_path)
    for which in (is_graph, is_image_index, is_docker_manifest, is_pack):
        digest = forgery.find(which)
        larger = Forgery(sample.whole(), tmp_path)
        larger.replace(digest, larger.bytes_of(digest) + b" " * (4 << 20))
        refused(larger.write(tmp_path / "b"), "more than 4194304")
    forgery.members[INDEX] += b" " * (4 << 20)
    refused(forgery.write(tmp_path / "b"), "more than 4194304")


def test_h27_many_descriptors_end_soon(tmp_path: Path) -> None:
    """ROOT at its limit, each entry an image of the same index: parsed once, then refused."""
    forgery = forged(tmp_path)

    def many(document: Document) -> None:
        entry = document["manifests"][2]
        document["manifests"] = [
            *document["manifests"][:1],
            *(
                {**entry, "annotations": {**entry["annotations"], "dev.graphbundle.name": f"n{n:05}"}}
                for n in range(9000)
            ),
        ]

    forgery.edit(forgery.root, many)
    refused(forgery.write(tmp_path / "b"))


def test_h27_a_manifest_named_again_and_again_is_read_once(tmp_path: Path) -> None:
    """Documents within their limits that stand for far more than they hold: layers times platforms times images."""
    forgery = forged(tmp_path)
    manifest = Digest(json.loads(forgery.bytes_of(forgery.find(is_image_index)))["manifests"][0]["digest"])
    forgery.edit(manifest, lambda document: document.update(layers=document["layers"] * 400))
    wide = forgery.find(is_image_index)
    forgery.edit(wide, lambda document: document.update(manifests=document["manifests"][:1] * 250))

    def many(document: Document) -> None:
        graph, _, web = document["manifests"][:3]
        document["manifests"] = [graph] + [
            {**web, "annotations": {**web["annotations"], "dev.graphbundle.name": f"n{n:05}"}} for n in range(9000)
        ]

    forgery.edit(forgery.root, many)
    refused(forgery.write(tmp_path / "b"), "of index hold")


@pytest.mark.parametrize(
    ("which", "change", "why"),
    [
        (is_docker_manifest, lambda d: d.update(layers=d["layers"] * 600), "an image of 1200 layers"),
        (is_image_index, lambda d: d.update(manifests=d["manifests"] * 100), "an index of 300 images"),
    ],
)
def test_h27_more_than_any_image_has(
    tmp_path: Path, which: Callable[[Document], bool], change: Callable[[Document], None], why: str
) -> None:
    forgery = forged(tmp_path)
    forgery.edit(forgery.find(which), change)
    refused(forgery.write(tmp_path / "b"), why)


def test_h28_addresses_in_descriptors_are_never_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("connected"))
    forgery = Forgery(sample.whole(), tmp_path)
    old = forgery.find(is_docker_manifest)
    new = forgery.edit(old, put("layers", 0, "urls", value=["http://169.254.169.254/"]))
    (graph,) = [forgery.find(is_graph)]
    forgery.edit(graph, put("pins", "images", "db", "digest", value=new.text))
    with pytest.raises(BundleError), ArchiveReader(forgery.write(tmp_path / "b")) as reader:
        read_bundle(reader)


def test_h32_names_are_bundle_scoped_or_refused(tmp_path: Path) -> None:
    for name in ("docker.io/library/nginx:latest", "bundle.local/other/web:1"):
        forgery = forged(tmp_path)
        forgery.index(put("manifests", 5, "annotations", "io.containerd.image.name", value=name))
        refused(forgery.write(tmp_path / "b"), "index.json")
        forgery = forged(tmp_path)
        document = json.loads(forgery.members[DOCKER_INDEX])
        document[0]["RepoTags"] = [name]
        forgery.members[DOCKER_INDEX] = strictjson.canonical(document)
        refused(forgery.write(tmp_path / "b"), "manifest.json")


def test_h33_every_blob_missing_in_turn(tmp_path: Path) -> None:
    forgery = forged(tmp_path)
    members = forgery.in_order()
    for name, _ in members:
        (tmp_path / "b").write_bytes(raw([member for member in members if member[0] != name]))
        refused(tmp_path / "b", "missing")


def test_h34_a_blob_that_nothing_names(tmp_path: Path) -> None:
    forgery = forged(tmp_path)
    forgery.members[blob_name(Digest.of(b"smuggled"))] = b"smuggled"
    refused(forgery.write(tmp_path / "b"), "nothing names it")


def test_members_in_another_order(tmp_path: Path) -> None:
    members = forged(tmp_path).in_order()
    for first in range(len(members) - 1):
        swapped = [*members[:first], members[first + 1], members[first], *members[first + 2 :]]
        (tmp_path / "b").write_bytes(raw(swapped))
        refused(tmp_path / "b", "order")


def test_h37_pickled_weights_are_bytes_like_others(tmp_path: Path) -> None:
    weights = sample.model("weights", [{"model.pkl": b"\x80\x04cposix\nsystem\n."}])
    web = sample.image("web", ["web"], [{"f": b""}])
    made = sample.sample(
        {"services": {"web": {"image": "x", "models": ["weights:/m"]}}, "models": {"weights": {"from": "./w"}}},
        [web],
        [weights],
    )
    assert read_bundle(ArchiveReader(made.write(tmp_path / "b"))).models[0].files[0].path == "model.pkl"
