"""A Compose file that became a graph, at work: `bundle import compose` to an answering page."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..e2e.conftest import ROOT, get
from ..parity.command import Command
from ..parity.places import PLACES, Place

pytestmark = [pytest.mark.timeout(600), pytest.mark.xdist_group("small")]


@pytest.fixture(scope="module")
def visits(bundle: Command, mirror: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("imported") / "visits"
    bundle("import", "compose", ROOT / "fixtures/compose/visits/compose.yaml", "-o", folder)
    (folder / "db-password").write_text("of the site")
    with (folder / "site.yaml").open("a") as site:
        site.write("secrets: {db-password: {file: ./db-password}}\n")
    bundle("build", folder, *mirror, "-o", folder / "visits.tar")
    return folder


@pytest.mark.parametrize(
    "place",
    [
        pytest.param(place, id=place.name, marks=[getattr(pytest.mark, mark) for mark in place.marks])
        for place in PLACES
        if place.name in ("compose", "k8s")
    ],
)
def test_an_imported_compose_file_runs(bundle: Command, visits: Path, place: Place) -> None:
    missing = place.missing()
    if missing is not None:
        pytest.fail(missing, pytrace=False)
    app = f"visits-{place.name}"
    where = ("--target", place.name, *place.options)
    site = ("--site", visits / "site.yaml", "--set", "publish.proxy.port=18088", "--set", "values.greeting=Hello")
    try:
        done = bundle("deploy", visits / "visits.tar", *where, "--app", app, *site, "--yes").out
        assert "job/migrate    completed" in done  # it logged in to the database
        with place.door(bundle, app) as door:
            assert [get(door) for _ in range(2)] == ["Hello, visitor number 1\n", "Hello, visitor number 2\n"]
    finally:
        bundle("remove", app, *where, "--volumes", "--yes")
        assert place.traces(app) == set()
