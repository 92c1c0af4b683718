"""VOLUMEs of images that a graph does not mention."""

from __future__ import annotations

import json

from bundler.collect.declared import unmentioned_volumes
from bundler.graphfile.check import check
from bundler.graphfile.source import parse
from bundler.layout.assembly import PackedImage
from bundler.model.oci import IMAGE_CONFIG, Descriptor, Digest

GRAPH = """
bundle: a
version: 1.0.0
models: {m: {from: ./m}}
services:
  db: {image: db, tmpfs: [/tmp], models: ["m:/models/m"]}
jobs:
  seed: {image: db, run: install}
"""


def test_a_volume_of_an_image_that_a_service_does_not_mount_is_warned_of() -> None:
    declared: dict[str, object] = {"/data/": {}, "/tmp/x": {}, "/models/m": {}}
    config = {"rootfs": {"type": "layers", "diff_ids": []}, "config": {"Volumes": declared}}
    data = json.dumps(config).encode()
    documents = {Digest.of(data): data, Digest.of(b"m"): b'{"config": {"digest": "x"}}'}
    image = PackedImage("db", "db", ("db",), Descriptor(IMAGE_CONFIG, Digest.of(data), len(data)), documents, ())
    (said,) = unmentioned_volumes(check(parse(GRAPH, "bundle.yaml")), [image], {"db": "db", "seed": "db"})
    assert said.startswith("db: its image keeps data in /data, where the graph mounts no volume")
