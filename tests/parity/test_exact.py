"""What a plan calls exact agrees with what the targets answer to the rows. Nothing runs: graphs are released against
an engine and a cluster that have what they usually have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from bundler.contract import Target
from bundler.graphfile import check, site, source
from bundler.graphfile.written import written
from bundler.model.bundle import (
    Bundle,
    BundleConfig,
    BundleImage,
    BundleModel,
    ConfigFile,
    PlatformImage,
    VerifiedBundle,
)
from bundler.model.observed import Host, Observed
from bundler.model.oci import IMAGE_CONFIG, Descriptor, Digest, Platform
from bundler.model.plan import Plan
from bundler.model.release import Release
from bundler.model.site import Site
from bundler.release import Inputs, release
from bundler.release.features import asked, exact, is_about
from targets.compose.target import ComposeTarget
from targets.docker.target import DockerTarget
from targets.engine import workloads
from targets.k8s import cluster as facts
from targets.k8s.cluster import Settings
from targets.k8s.target import KubernetesTarget

from .places import PLACES, Place
from .row import Row, alike
from .rows import ROWS

MACHINE = Platform("linux", "amd64")
ENGINE = frozenset({workloads.IMAGE_MOUNT, workloads.SUBPATH, workloads.START_INTERVAL})
CLUSTER = frozenset({facts.IMAGE_VOLUMES, facts.SLEEP, facts.STORAGE, facts.METRICS})
TARGETS: Mapping[str, tuple[Target, Host]] = {
    "docker": (DockerTarget(), Host(MACHINE, "docker", "28", ENGINE)),
    "compose": (ComposeTarget(), Host(MACHINE, "docker", "28", ENGINE)),
    "k8s": (KubernetesTarget(Settings(registry="registry.example/x")), Host(MACHINE, "kubernetes", "1.36", CLUSTER)),
}
CASES = [
    pytest.param(row, place, id=f"{row.key}-{place.name}")
    for row in ROWS
    for place in PLACES
    if place.name in TARGETS and not row.answer(place).at_check and row.platform is None  # else there is no plan
]


class Blobs:
    def read(self, blob: Descriptor) -> bytes:
        return b"x"

    def stream(self, blob: Descriptor) -> Iterator[bytes]:
        yield b"x"


def blob(name: str, media_type: str = "") -> Descriptor:
    return Descriptor(media_type, Digest.of(name.encode()), 1)


def released(row: Row, host: Host) -> Release:
    """Of a bundle that holds what the graph names, without its bytes."""
    graph = check.check(source.parse(row.text, "bundle.yaml"))
    nodes = (*graph.services, *graph.jobs)
    parts = (PlatformImage(MACHINE, blob("m"), blob("c", IMAGE_CONFIG), ()),)
    images = tuple(BundleImage(node.name, f"bundle.local/x/{node.name}:1-0", "", blob("i"), parts) for node in nodes)
    models = tuple(
        BundleModel(model.name, f"bundle.local/x/{model.name}:1-1", None, blob("p"), blob("i"), parts, ())
        for model in graph.models
    )
    configs = tuple(BundleConfig(one.name, (ConfigFile("", blob("x")),), template=False) for one in graph.configs)
    document = repr(written(graph)).encode()
    images_of = tuple((node.name, node.name) for node in nodes)
    users = tuple((node.name, "10001:10001") for node in nodes if node.user is not None)
    bundle = Bundle(blob("root"), graph, document, images, images_of, users, models, configs)
    said = site.parse_site([site.read_site(row.site, "site.yaml")], graph) if row.site else Site()
    given = {secret.name: b"s3cret" for secret in graph.secrets}
    verified = VerifiedBundle(bundle, (), unsigned_allowed=False)
    return release(Inputs("par", verified, Blobs(), said, Observed("par", host), given, {})).release


def planned(row: Row, place: Place) -> tuple[Release, Plan]:
    target, host = TARGETS[place.name]
    made = released(row, host)
    return made, target.plan(made, Observed("par", host))


@pytest.mark.parametrize(("row", "place"), CASES)
def test_what_is_exact_is_all_that_the_graph_asks_for_and_no_note_is_about(row: Row, place: Place) -> None:
    made, plan = planned(row, place)
    told = {f"{one.resource} {one.feature}" for one in exact(made, plan)}
    said = [f"{note.resource} {note.feature}: {note.reason}" for note in plan.notes]
    usual = [pattern for pattern in place.usual if any(alike(pattern, note) for note in said)]
    expected = [*row.answer(place).notes, *usual]
    unlike = {
        f"{resource} {feature}"
        for resource, feature in asked(made)
        if any(alike(f"{pattern.partition(':')[0]}…", f"{resource} {feature}") for pattern in expected)
    }
    assert told == {f"{resource} {feature}" for resource, feature in asked(made)} - unlike


@pytest.mark.parametrize(("row", "place"), CASES)
def test_notes_are_about_what_graphs_ask_for_by_the_same_words(row: Row, place: Place) -> None:
    """Else what a note adapts would be told as exact too."""
    made, plan = planned(row, place)
    known = set(asked(made))
    for note in plan.notes:
        kind = note.resource.partition("/")[0]
        if kind in ("service", "job", "volume", "image") and note.reason != "1 GiB, because the graph gives none":
            assert any(is_about(note, of, word) for of, word in known), note
