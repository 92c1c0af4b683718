"""Several graphs in one bundle: read back as each has it, and refused where they do not fit what is there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sample
from forgery import Document, Forgery

from bundler.errors import TrustError
from bundler.layout.archive import ArchiveReader
from bundler.layout.read import read_bundle

ACME = "dev.graphbundle.name"


def is_of_acme(document: Document) -> bool:
    return "pins" in document and "other" in document["pins"]["images"]


def is_of_all(document: Document) -> bool:
    return "pins" in document and "web" in document["pins"]["images"]


def is_root(document: Document) -> bool:
    return str(document.get("artifactType", "")).endswith("graphbundle.bundle.v1+json")


def in_pins(*path: str, value: object) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        place: Any = document["pins"]
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    return change


def rename_variant(document: Document) -> None:
    for one in document["manifests"]:
        if one["annotations"].get(ACME) == "acme":
            one["annotations"][ACME] = "../acme"


def test_each_graph_sees_what_it_uses(tmp_path: Path) -> None:
    with ArchiveReader(sample.varied().write(tmp_path / "b")) as reader:
        whole = read_bundle(reader)
        reader.check_every_byte()
    (acme,) = whole.variants
    assert (whole.variant, acme.variant, acme.variants) == ("", "acme", ())
    assert [image.name for image in whole.images] == ["web"]
    assert [image.name for image in acme.images] == ["other"]
    assert [model.name for model in (*whole.models, *acme.models)] == ["weights", "weights"]
    assert whole.models[0].reference != acme.models[0].reference
    assert json.loads(acme.graph_document)["graph"]["models"] == {"weights": {"from": "./heavier"}}


@pytest.mark.parametrize(
    ("which", "change", "why"),
    [
        (
            is_of_acme,
            in_pins("images", "nowhere", value={"digest": "", "source": ""}),
            "named in one place and missing",
        ),
        (is_of_acme, in_pins("workloads", "web", value="web"), "its image 'web' is missing"),
        (is_of_acme, in_pins("models", "weights", "name", value="weights"), "pins another digest"),
        (is_of_acme, in_pins("models", "weights", "name", value="heavier"), "named in one place and missing"),
        (is_of_acme, lambda document: document["graph"].update(version="2"), "ROOT is tiny 1.0.0"),
        (is_of_acme, lambda document: document["graph"].update(bundle="other"), "ROOT is tiny 1.0.0"),
        (is_of_all, lambda document: document["pins"].update(models={}), "named in one place and missing"),
        (is_root, rename_variant, "not a name"),
    ],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, which: Callable[[Document], bool], change: Callable[[Document], None], why: str
) -> None:
    forgery = Forgery(sample.varied(), tmp_path)
    forgery.edit(forgery.find(which), change)
    with pytest.raises(TrustError, match=why), ArchiveReader(forgery.write(tmp_path / "b")) as reader:
        read_bundle(reader)


def test_what_no_graph_uses_is_refused(tmp_path: Path) -> None:
    web, more = (sample.image(name, [name] * (name == "web"), [{name: b""}]) for name in ("web", "more"))
    made = sample.sample({"services": {"web": {"image": "acme/web:1"}}}, [web, more])
    with (
        pytest.raises(TrustError, match="image more: no graph uses it"),
        ArchiveReader(made.write(tmp_path / "b")) as r,
    ):
        read_bundle(r)
