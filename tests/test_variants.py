"""Variants in a bundle: packed, read back, chosen at the site."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bundler import pack
from bundler.errors import GraphError, UsageError
from bundler.layout.archive import ArchiveReader
from bundler.model.progress import Silent
from bundler.pack import BuildRequest
from bundler.trust.keys import PrivateKey
from bundler.trust.policy import Policy
from bundler.trust.verify import verify

from .packing import checked, image_layout, replace_in, write

GRAPH = """\
    bundle: shop
    version: "1.0"
    models: {weights: {from: ./weights}}
    configs: {settings: {file: ./settings.conf}}
    services:
      web: {image: "oci:./web", models: [weights:/models], configs: [settings:/etc/settings]}
      board: {image: "oci:./web"}
"""
ACME = """\
    variant: acme
    of: shop
    configs: {settings: {file: ./acme.conf}}
    services:
      board: null
      web: {user: "5:6"}
      more: {image: "oci:./other"}
"""
OTHER = """\
    variant: other
    of: shop
    models: {weights: {from: ./heavier}}
    services: {web: {image: "oci:./other"}}
"""


@pytest.fixture
def asked(tmp_path: Path, key: PrivateKey) -> BuildRequest:
    folder = tmp_path / "graph"
    for name, user in (("web", "app"), ("other", "7:8")):
        (folder / name).mkdir(parents=True)
        image_layout(folder / name, user)
    write(folder, {"bundle.yaml": GRAPH, "variants/acme.yaml": ACME, "variants/other.yaml": OTHER})
    write(folder, {"settings.conf": "a\n", "acme.conf": "b\n", "weights/w": b"w" * 4096, "heavier/w": b"h" * 4096})
    return BuildRequest(folder, tmp_path / "b.tar", key=key, cache=tmp_path / "cache", variants=("acme", "other"))


def test_each_variant_has_its_graph_images_models_and_users(asked: BuildRequest, key: PrivateKey) -> None:
    whole = checked(pack.build(asked, Silent()), key)
    assert [one.variant for one in whole.variants] == ["acme", "other"]
    acme, other = whole.variants
    assert dict(whole.images_of) == {"board": "board", "web": "board"}
    assert dict(acme.images_of) == {"more": "more", "web": "board"}
    assert dict(other.images_of) == {"board": "board", "web": "more"}
    assert [image.name for image in whole.images] == ["board"]
    assert dict(acme.users) == {"more": "7:8", "web": "5:6"}
    assert dict(other.users) == {"board": "70:71", "web": "7:8"}
    assert acme.models == whole.models
    (weights,) = other.models
    assert (weights.name, weights.reference) != ("weights", whole.models[0].reference)
    assert weights.name == "weights"
    assert weights.layers != whole.models[0].layers
    assert {one.root.digest for one in (whole, acme, other)} == {whole.root.digest}


def test_the_graph_itself_is_the_same_with_and_without_variants(asked: BuildRequest, key: PrivateKey) -> None:
    alone = checked(pack.build(replace(asked, variants=(), cache=None), Silent()), key)
    whole = checked(pack.build(replace(asked, cache=None), Silent()), key)
    assert alone.graph_document == whole.graph_document
    assert [image.reference for image in alone.images] == [image.reference for image in whole.images]


def test_a_variant_adds_only_the_blobs_that_are_its_own(asked: BuildRequest) -> None:
    names = []
    for variants in ((), ("acme",)):
        result = pack.build(replace(asked, variants=variants, cache=None), Silent())
        with ArchiveReader(result.path) as reader:
            names.append({name: member.size_bytes for name, member in reader.members.items()})
    new = {name: size for name, size in names[1].items() if name not in names[0]}
    assert 0 < sum(new.values()) < 16384  # its graph, a config, another image's config over the same layer
    assert set(names[0]) - set(names[1]) <= {name for name, size in names[0].items() if size < 4096}


def test_a_variant_is_a_source_of_the_build(asked: BuildRequest) -> None:
    first = pack.build(asked, Silent())
    assert pack.build(asked, Silent()).unchanged
    replace_in(asked.source / "variants/acme.yaml", '"5:6"', '"5:9"')
    again = pack.build(asked, Silent())
    assert (again.unchanged, again.changed) == (False, ("the variants",))
    assert again.root != first.root
    write(asked.source, {"acme.conf": "changed\n"})
    assert not pack.build(asked, Silent()).unchanged


def test_what_is_wrong_with_any_variant_stops_the_build(asked: BuildRequest) -> None:
    with pytest.raises(UsageError, match="no variant 'acne'") as unknown:
        pack.build(replace(asked, variants=("acne",)), Silent())
    assert unknown.value.hint == "there is: acme, other"
    replace_in(asked.source / "variants/other.yaml", "oci:./other", "oci:/other")
    with pytest.raises(GraphError) as wrong:
        pack.build(asked, Silent())
    assert [str(problem.where).rpartition("/")[2] for problem in wrong.value.problems] == ["other.yaml:4:25"]
    assert asked.output is not None
    assert not asked.output.exists()


def test_a_verified_bundle_is_had_as_each_of_its_variants(asked: BuildRequest, key: PrivateKey) -> None:
    result = pack.build(asked, Silent())
    with ArchiveReader(result.path) as reader:
        verified = verify(reader, Policy((key.public,)))
    acme = verified.of("acme")
    assert acme is not None
    assert [service.name for service in acme.bundle.graph.services] == ["more", "web"]
    assert acme.signers == verified.signers
    assert verified.of("") == verified
    assert verified.of("acne") is None
    graph = json.loads(acme.bundle.graph_document)["graph"]
    assert set(graph["services"]) == {"more", "web"}
