"""A cluster whose nodes the user may not list: what runs, the bundle and the graph tell instead. The pure parts."""

from __future__ import annotations

from dataclasses import replace

from k8s_sample import FEATURES, nothing, plan, released

from bundler import release as releasing
from bundler.model.graph import Gpus, Resources
from bundler.model.observed import UNKNOWN_PLATFORM
from bundler.model.oci import Platform
from bundler.model.release import Release
from targets.k8s import cluster as facts
from targets.k8s import nodes

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64", "v8")
HIDDEN = FEATURES | {facts.HIDDEN_NODES, UNKNOWN_PLATFORM}


def of(*platforms: Platform) -> Release:
    """A release whose images are for these platforms."""
    release = released()
    images = tuple(
        replace(image, platforms=tuple(replace(image.platforms[0], platform=one) for one in platforms))
        for image in release.images
    )
    return replace(release, images=images)


def pod(*, architecture: str | None = None, gpus: int = 0) -> dict[str, object]:
    selector = {"kubernetes.io/os": "linux", "kubernetes.io/arch": architecture} if architecture else {}
    limits = {"nvidia.com/gpu": str(gpus)} if gpus else {}
    return {"spec": {"nodeSelector": selector, "containers": [{"resources": {"limits": limits}}]}}


def test_the_platform_is_that_of_what_runs() -> None:
    assert nodes.by_pods([pod(architecture="arm64"), pod()]) == (
        Platform("linux", "arm64"),
        frozenset({facts.HIDDEN_NODES}),
    )
    assert nodes.by_pods([]) == (AMD64, frozenset({facts.HIDDEN_NODES, UNKNOWN_PLATFORM}))
    assert facts.NVIDIA in nodes.by_pods([pod(gpus=1)])[1]


def test_else_it_is_the_one_that_the_bundle_has() -> None:
    def chosen(features: frozenset[str], *platforms: Platform) -> str:
        return str(releasing.assumed(nothing(features), of(*platforms).images).host.platform)

    assert chosen(HIDDEN, ARM64) == "linux/arm64"
    assert chosen(HIDDEN, ARM64, AMD64) == "linux/amd64"
    assert chosen(HIDDEN - {UNKNOWN_PLATFORM}, ARM64) == "linux/amd64", "it is known"
    assert releasing.assumed(nothing(HIDDEN), ()) == nothing(HIDDEN)


def test_a_choice_of_several_platforms_is_said() -> None:
    def noted(*platforms: Platform) -> list[str]:
        observed = releasing.assumed(nothing(HIDDEN), of(*platforms).images)
        return [note.reason for note in plan(of(*platforms), observed).notes if note.feature == "platform"]

    assert noted(ARM64) == []
    (reason,) = noted(AMD64, ARM64)
    assert reason.startswith("this user may not list nodes; everything is for linux/amd64 of linux/amd64, linux/arm64")
    assert "--verb=list --resource=nodes" in reason


def test_gpus_that_are_needed_are_believed() -> None:
    def asked(features: frozenset[str], *, required: bool) -> tuple[list[str], list[str]]:
        release = released(resources=Resources(gpus=Gpus(1, required=required)))
        planned = plan(release, nothing(features))
        notes = [note.reason for note in planned.notes if note.feature == "gpus"]
        refused = [note.feature for note in planned.refused]
        return notes, refused

    assert asked(FEATURES, required=True)[1] == ["gpus"]
    assert asked(HIDDEN, required=True) == ([], [])
    ((reason,), refused) = asked(HIDDEN, required=False)
    assert reason.startswith("runs without; this user may not see whether a node offers nvidia.com/gpu")
    assert refused == []
    (step,) = (
        step
        for step in plan(released(resources=Resources(gpus=Gpus(1))), nothing(HIDDEN)).steps
        if step.resource == "service/web"
    )
    (main,) = step.payload["objects"][-1]["object"]["spec"]["template"]["spec"]["containers"]
    assert main["resources"]["limits"]["nvidia.com/gpu"] == "1"


def test_an_import_into_nodes_that_are_not_seen_is_noted() -> None:
    (note,) = (one for one in plan(released(), nothing(HIDDEN)).notes if one.resource == "images")
    assert note.reason.startswith("this user may not list nodes; an import reaches 1, and pods wait on any other")
