"""Volumes as claims and mounts, without a cluster."""

from __future__ import annotations

from dataclasses import replace

import pytest
from k8s_sample import SETTINGS, container, in_place, nothing, plan, pod, released

from bundler.model.graph import Mount, Volume
from bundler.model.observed import Observed, Thing
from bundler.model.plan import Verdict
from bundler.model.release import Release
from targets.k8s import claims, objects, seeds
from targets.k8s import cluster as facts
from targets.k8s.claims import Claim
from targets.k8s.cluster import Cluster
from targets.sample import settled


def cluster(release: Release, observed: Observed | None = None) -> Cluster:
    return Cluster.of(release, observed or nothing(), SETTINGS)


def test_a_volume_at_two_paths_is_filled_once_and_not_shared() -> None:
    release = released(volumes=(Mount("data", "/a"), Mount("data", "/b", read_only=True)))
    release = replace(release, services=tuple(one for one in release.services if one.name == "web"), jobs=())
    assert seeds.seeds(release, cluster(release))["data"].shared is False
    assert [one["name"] for one in pod(release, "web")["initContainers"]] == ["bundle-helper", "bundle-volume-0"]
    places = [(one["mountPath"], one["name"]) for one in container(release, "web")["volumeMounts"]]
    assert [place for place in places if place[0] in ("/a", "/b")] == [("/a", "volume-0"), ("/b", "volume-0")]
    assert "sharing" not in [note.feature for note in plan(release).notes]


def claim(release: Release) -> tuple[str | None, list[str]]:
    """The class and the modes that the only volume asks for."""
    (found,) = objects.volumes(release, cluster(release))
    spec = found.body["spec"]
    return spec.get("storageClassName"), spec["accessModes"]


def test_a_class_alone_keeps_what_shares_the_volume_on_one_node() -> None:
    release = replace(released(volumes=(Mount("data", "/elsewhere"),)), storage=(("data", "fast"),))
    assert claim(release) == ("fast", ["ReadWriteOnce"])
    assert "affinity" in pod(release, "web")
    assert "sharing" in [note.feature for note in plan(release).notes]


def test_a_volume_that_the_site_calls_shared_is_mounted_on_any_node() -> None:
    release = replace(released(volumes=(Mount("data", "/elsewhere"),)), storage=(("data", "nfs"),), shared=("data",))
    assert claim(release) == ("nfs", ["ReadWriteMany"])
    assert "affinity" not in pod(release, "web")
    assert "sharing" not in [note.feature for note in plan(release).notes]


# what is there already

GIB = 1 << 30


def there(release: Release, found: Claim, *features: str) -> Observed:
    """All in place, with the volume's claim as it is."""
    observed = in_place(release)
    name = "PersistentVolumeClaim/data"
    things = (*(one for one in observed.things if one.name != name), Thing("volume/data", name, found.spec))
    return replace(observed, things=things, host=replace(observed.host, features=observed.host.features | {*features}))


def sized(size: int | None, **changes: object) -> Release:
    base = replace(released(), volumes=(Volume("data", size),), **changes)  # type: ignore[arg-type]  # fields of it
    return replace(settled(base, nothing()), recorded=True)


def test_a_larger_volume_grows_where_its_class_allows_it() -> None:
    found = Claim(GIB, claims.ONE_NODE, "fast")
    observed = there(sized(2 * GIB), found, facts.GROWS + "fast")
    (step,) = plan(sized(2 * GIB), observed).steps
    assert (step.id, step.cause) == ("create volume/data", "larger")
    (one,) = step.payload["objects"]  # type: ignore[misc]  # JSON
    spec = one["object"]["spec"]
    assert spec["resources"]["requests"]["storage"] == str(2 * GIB)
    assert (spec["storageClassName"], spec["accessModes"]) == ("fast", ["ReadWriteOnce"])
    for smaller in (GIB >> 1, None):
        assert plan(sized(smaller), observed).steps == (), "there is at least the room asked for"


@pytest.mark.parametrize(
    ("release", "feature", "reason"),
    [
        (sized(2 * GIB), "size", "made with 1 GiB, 2 GiB are asked for, and its class 'slow'"),
        (sized(GIB, storage=(("data", "fast"),)), "storage", "made in the class 'slow' and stays there, not in 'fast'"),
        (sized(GIB, shared=("data",)), "shared", "it was made ReadWriteOnce"),
    ],
)
def test_what_a_claim_does_not_become_is_told(release: Release, feature: str, reason: str) -> None:
    planned = plan(release, there(release, Claim(GIB, claims.ONE_NODE, "slow"), facts.GROWS + "fast"))
    assert planned.steps == ()
    (note,) = [one for one in planned.notes if (one.resource, one.feature) == ("volume/data", feature)]
    assert note.verdict is Verdict.ADAPTED
    assert reason in note.reason


def test_where_pods_may_run_is_said_by_the_claim_that_is_there() -> None:
    release = released(volumes=(Mount("data", "/elsewhere"),))
    for mode, site, anywhere in (
        (claims.ONE_NODE, ("data",), False),
        (claims.ANY_NODE, (), True),
    ):
        shared = replace(release, shared=site)
        observed = there(release, Claim(GIB, mode, "nfs"))
        assert seeds.seeds(shared, cluster(shared, observed))["data"].anywhere is anywhere


def test_a_claim_is_read_as_the_cluster_has_it() -> None:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}, "storageClassName": "fast"}
    assert claims.told({"spec": spec}) == Claim(2 * GIB, claims.ONE_NODE, "fast").spec
    assert claims.told({"spec": {}}) == Claim(0, claims.ONE_NODE, "").spec
