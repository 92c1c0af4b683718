"""Each component at work: somebody uses it through its slots, on Docker and on Kubernetes.

What they keep is looked at again after the app was removed without its volumes and deployed anew.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ..e2e.conftest import get
from ..parity.command import Command
from ..parity.places import PLACES, Place, kubectl

pytestmark = [pytest.mark.timeout(900), pytest.mark.xdist_group("memory")]  # one deploy, looked at by all

STORES = {
    "sql": "kept",
    "vectors": "kept",
    "keys": "kept",
    "objects": "kept by client",
    "runs": "kept and kept",
    "graph": "kept",
    "notebooks": "kept, 403 without a token",
}
SHOWS = {"charts": "1:0.5,2:0.25", "page": "a page beside the graph"}


@dataclass
class Used:
    """What the client was told: when it had put something everywhere, and in the app's second life."""

    place: Place
    app: str
    first: dict[str, str]
    second: dict[str, str]
    again: str


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(place, id=place.name, marks=[getattr(pytest.mark, mark) for mark in place.marks])
        for place in PLACES
        if place.name in ("docker", "k8s")
    ],
)
def used(request: pytest.FixtureRequest, bundle: Command, components: Path) -> Iterator[Used]:
    place: Place = request.param
    missing = place.missing()
    if missing is not None:
        pytest.fail(missing, pytrace=False)
    app = f"components-{uuid.uuid4().hex[:6]}"
    where = ("--target", place.name, *place.options)
    try:
        bundle("deploy", components, *where, "--app", app)
        with place.door(bundle, app) as door:
            put = {kind: get(f"{door}/put/{kind}?kept").strip() for kind in STORES}
            first = {kind: told(door, kind) for kind in (*STORES, *SHOWS)}
        assert put == dict.fromkeys(STORES, "ok")
        again = bundle("deploy", components, *where, "--app", app).out
        bundle("remove", app, *where)
        bundle("deploy", components, *where, "--app", app)
        with place.door(bundle, app) as door:
            second = {kind: told(door, kind) for kind in (*STORES, *SHOWS)}
        yield Used(place, app, first, second, again)
    finally:
        bundle("remove", app, *where, "--volumes", "--yes")
        assert place.traces(app) == set()


def told(door: str, kind: str) -> str:
    """What the client finds; TensorBoard takes some seconds to read what is there."""
    for _ in range(20):
        said = get(f"{door}/get/{kind}").strip()
        if kind != "charts" or "Error" not in said:
            break
        time.sleep(0.5)
    return said


@pytest.mark.parametrize("kind", [*STORES, *SHOWS])
def test_a_component_does_its_work_for_who_is_connected(used: Used, kind: str) -> None:
    assert used.first[kind] == {**STORES, **SHOWS}[kind]


@pytest.mark.parametrize("kind", [*STORES, *SHOWS])
def test_what_it_keeps_is_there_after_a_removal_and_a_new_deploy(used: Used, kind: str) -> None:
    assert used.second[kind] == {**STORES, **SHOWS}[kind]


def test_a_second_deploy_changes_nothing(used: Used) -> None:
    assert used.again.startswith("no changes\n")


def test_on_kubernetes_all_of_them_keep_to_the_restricted_standard(used: Used) -> None:
    if used.place.name == "docker":
        return  # it has no such thing
    labels = json.loads(kubectl("get", "namespace", used.app, "--output", "json"))["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
