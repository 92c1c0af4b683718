"""Compose files of the shape that people have: what becomes of them, and that it is a graph."""

from __future__ import annotations

from pathlib import Path

import examples
import pytest
import yaml

from bundler.graphfile.check import check, check_document
from bundler.graphfile.site import missing, parse_site, read_site
from bundler.graphfile.source import parse
from bundler.graphfile.written import written
from bundler.importing.report import Verdict
from bundler.model.bundle import Bundle, BundleConfig, BundleImage, ConfigFile, PlatformImage, VerifiedBundle
from bundler.model.graph import Graph
from bundler.model.observed import Host, Observed
from bundler.model.oci import IMAGE_CONFIG, MANIFEST, Descriptor, Digest, Platform
from bundler.model.release import Release
from bundler.model.site import Site
from bundler.release import Inputs, release
from targets.compose.document import document
from targets.compose.text import write
from targets.engine import planning

AMD64 = Platform("linux", "amd64")


@pytest.mark.parametrize("name", examples.FILES)
def test_an_example_becomes_what_its_golden_says(name: str) -> None:
    made = examples.texts(examples.example(name), Path(examples.FILES[name]).name)
    for file, text in made.items():
        assert text == (examples.GOLDEN / name / file).read_text(), f"tests/importing/golden/regenerate.py: {file}"


@pytest.mark.parametrize("name", examples.FILES)
def test_every_golden_is_a_right_graph_and_a_right_site_file_of_it(name: str) -> None:
    graph, site = golden(name)
    assert check_document(written(graph)) == graph
    assert set(site.doors) <= {door.name for door in graph.doors}


@pytest.mark.parametrize("name", examples.FILES)
def test_what_was_imported_renders_as_a_compose_file_of_the_same_services(name: str) -> None:
    graph, site = golden(name)
    wanted, observed = planning.rendered(made := released(graph, site))
    rendered = yaml.safe_load(write(document(made, wanted, observed.host)))
    assert set(rendered["services"]) == {each.name for each in (*graph.services, *graph.jobs)}


@pytest.mark.parametrize("name", [name for name in examples.FILES if name != "everything"])
def test_nothing_essential_is_refused_of_what_people_have(name: str) -> None:
    assert examples.example(name).report.of(Verdict.REFUSED) == ()


@pytest.mark.parametrize("name", examples.FILES)
def test_no_secret_of_the_file_is_in_anything_that_is_written(name: str) -> None:
    said = "".join(examples.texts(examples.example(name), "compose.yaml").values())
    for secret in (
        "miniosecret",
        "myredissecret",
        "mysecret",
        "mysalt",
        "hunter2",
        "labels-queue",
        "letmein",
        "0" * 64,
    ):
        assert secret not in said


def golden(name: str) -> tuple[Graph, Site]:
    graph = check(parse((examples.GOLDEN / name / "bundle.yaml").read_text(), "bundle.yaml"))
    return graph, parse_site([read_site((examples.GOLDEN / name / "site.yaml").read_text(), "site.yaml")], graph)


def released(graph: Graph, site: Site) -> Release:
    """A release of the graph as if it had been packed and every question of the site answered."""
    images = [each.name for each in (*graph.services, *graph.jobs)]
    bundle = Bundle(
        blob(b"root"),
        graph,
        b"",
        tuple(image(each) for each in images),
        tuple((each, each) for each in images),
        (),
        (),
        tuple(BundleConfig(each.name, (ConfigFile("", blob(b"x")),), template=False) for each in graph.configs),
    )
    answers = {f"externals.{each.name}": {"host": "h.example", "port": "1"} for each in graph.externals}
    site = parse_site([read_site(f"externals: {{{', '.join(_external(name) for name in answers)}}}", "s")], graph)
    given = {problem.where.removeprefix("secrets."): b"x" for problem in missing(site, graph)}  # type: ignore[union-attr]
    observed = Observed("app", Host(AMD64, "test", "1"))
    verified = VerifiedBundle(bundle, (), unsigned_allowed=False)
    return release(Inputs("app", verified, Blobs(), site, observed, given, {})).release


def _external(name: str) -> str:
    return f"{name.partition('.')[2]}: {{host: h.example, port: 1}}"


def image(name: str) -> BundleImage:
    one = PlatformImage(AMD64, blob(name.encode()), blob(name.encode(), IMAGE_CONFIG), ())
    return BundleImage(name, f"bundle.local/x/{name}:1", name, blob(name.encode()), (one,))


def blob(data: bytes, media_type: str = MANIFEST) -> Descriptor:
    return Descriptor(media_type, Digest.of(data), len(data))


class Blobs:
    """Every blob is a small text."""

    def read(self, blob: Descriptor) -> bytes:
        return b"x"

    def stream(self, blob: Descriptor):  # type: ignore[no-untyped-def]
        yield b"x"
