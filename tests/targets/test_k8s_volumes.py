"""Volumes as claims and mounts, without a cluster."""

from __future__ import annotations

from dataclasses import replace

from test_k8s_parts import container, plan, pod, released

from bundler.model.graph import Mount
from bundler.model.release import Release
from targets.k8s import objects, seeds


def test_a_volume_at_two_paths_is_filled_once_and_not_shared() -> None:
    release = released(volumes=(Mount("data", "/a"), Mount("data", "/b", read_only=True)))
    release = replace(release, services=tuple(one for one in release.services if one.name == "web"), jobs=())
    assert seeds.seeds(release)["data"].shared is False
    assert [one["name"] for one in pod(release, "web")["initContainers"]] == ["bundle-helper", "bundle-volume-0"]
    places = [(one["mountPath"], one["name"]) for one in container(release, "web")["volumeMounts"]]
    assert [place for place in places if place[0] in ("/a", "/b")] == [("/a", "volume-0"), ("/b", "volume-0")]
    assert "sharing" not in [note.feature for note in plan(release).notes]


def claim(release: Release) -> tuple[str | None, list[str]]:
    """The class and the modes that the only volume asks for."""
    (found,) = objects.volumes(release)
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
