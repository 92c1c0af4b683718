"""The way of images into nodes: which containerd is asked, and what hangs on its answer."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from clusters import InCluster
from k8s_sample import FEATURES, in_place, nothing, plan, released

from bundler.errors import TargetError
from bundler.model.observed import Observed, Record
from bundler.model.plan import Step
from targets.k3s import target as k3s
from targets.k8s import cluster as facts
from targets.k8s import delivery
from targets.k8s.cluster import Settings
from targets.k8s.ground import Ground
from targets.sample import sample, settled

FAULT = "containerd at /run/containerd.sock: images list: permission denied; run it as root"


def unasked(observed: Observed) -> Observed:
    """The same, where the node's containerd does not answer."""
    things = tuple(thing for thing in observed.things if not thing.resource.startswith("image/"))
    host = replace(observed.host, features=observed.host.features | {facts.UNASKED + FAULT})
    return replace(observed, things=things, host=host)


def test_a_containerd_that_does_not_answer_stops_only_what_must_import() -> None:
    (note,) = plan(released(), unasked(nothing())).refused
    assert (note.resource, note.feature, note.reason) == ("images", "delivery", FAULT)
    release = replace(settled(released(), in_place(released())), recorded=True)
    unchanged = plan(release, unasked(in_place(release)))
    assert (unchanged.steps, unchanged.refused) == ((), ())


def test_a_removal_that_cannot_take_images_along_is_refused() -> None:
    there = replace(in_place(released()), records=(Record(1, ""),))
    (note,) = plan(None, unasked(there)).refused
    assert note.reason.startswith(f"{FAULT}; without --containerd")
    assert plan(None, unasked(there)).steps == ()
    pulled = replace(there.host, features=FEATURES | {facts.PULLS_FROM + "registry.example/site"})
    planned = plan(None, unasked(replace(there, host=pulled)))
    assert planned.steps
    assert planned.refused == ()
    left = plan(None, unasked(there), Settings(registry="registry.example/site"))
    assert [note.reason.split(";")[0] for note in left.notes] == [
        "imported ones stay on nodes that --containerd SOCKET does not name"
    ]


@pytest.mark.parametrize(
    ("kubeconfig", "sockets"),
    [
        ("etc/rancher/k3s/k3s.yaml", ("k3s://",)),
        ("link-to-it", ("k3s://",)),
        ("elsewhere/config", ()),
    ],
)
def test_images_go_into_this_nodes_k3s_only_where_the_kubeconfig_is_its_own(
    kubeconfig: str, sockets: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "k3s"
    program.touch(mode=0o755)
    (tmp_path / "link-to-it").symlink_to(tmp_path / "etc/rancher/k3s/k3s.yaml")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CONTAINERD_ADDRESS", raising=False)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / kubeconfig))
    target = k3s.create({})
    assert isinstance(target, k3s.K3sTarget)
    assert target.settings.sockets == sockets
    named = k3s.create({"containerd": "/run/a.sock"})
    assert isinstance(named, k3s.K3sTarget)
    assert named.settings.sockets == ("/run/a.sock",)


def test_a_cluster_that_is_no_k3s_is_told_from_one_that_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    def ground(*versions: str) -> Ground:
        nodes = tuple({"status": {"nodeInfo": {"kubeletVersion": one}}} for one in versions)
        return Ground("1.35", nodes, frozenset(), hidden=False)

    assert k3s.distribution(ground("v1.35.0+k3s1"), Settings()).ok
    assert k3s.distribution(ground(), Settings()).told == "kubelet of no node that this user sees"
    other = k3s.distribution(ground("v1.35.0", "v1.35.0+k3s1"), Settings())
    assert (other.ok, other.needed) == (False, True)
    assert other.told.startswith("kubelet v1.35.0, v1.35.0+k3s1: no k3s, and here is neither `k3s` nor /var/lib/")
    way = k3s.distribution(ground("v1.35.0"), Settings(registry="registry.example/site"))
    assert (way.ok, way.needed, way.hint) == (False, False, "images go by registry.example/site, as with -t k8s")


def test_who_has_no_kubeconfig_is_told_where_k3s_writes_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if k3s.KUBECONFIG.exists():
        pytest.skip(f"this is a server of k3s: {k3s.KUBECONFIG} is there")
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "config"))
    monkeypatch.delenv("KUBECONFIG", raising=False)  # after the package has read it, once
    with pytest.raises(TargetError, match=f"no kubeconfig can be read at {k3s.KUBECONFIG} or {tmp_path}") as raised:
        k3s.create({}).apps()
    assert "as a user who may read /etc/rancher/k3s/k3s.yaml (root)" in str(raised.value.hint)


def shadow_ctr(place: Path, monkeypatch: pytest.MonkeyPatch, script: str, **words: object) -> None:
    """Puts a program before the real `ctr`, which it knows as {ctr}."""
    program = place / "ctr"
    program.write_text(script.format(ctr=shutil.which("ctr"), **words))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{place}:{os.environ['PATH']}")


def loading(subject: InCluster) -> Step:
    steps = subject.target.plan(sample(subject), subject.target.observe(subject.app)).steps
    return next(step for step in steps if step.resource == "image/app")


_AT_A_LAYER = """#!/bin/sh
case "$*" in *" images import "*)
  [ -e {once} ] || {{
    cat >{once}
    echo "ctr: failed to extract layer (application/vnd.oci.image.layer.v1.tar sha256:0) to overlayfs: not found" >&2
    exit 1
  }} ;;
esac
exec {ctr} "$@"
"""
# What is listed is gone by the time of the import, which then says so by itself.
_AT_A_BLOB = """#!/bin/sh
case "$*" in *" content list "*) [ -e {once} ] || {{ echo {layer}; : >{once}; }} ;; esac
exec {ctr} "$@"
"""


# Both saw no image of that name.
_AT_A_NAME = """#!/bin/sh
case "$*" in *" images import "*)
  [ -e {once} ] || {{
    {ctr} "$@"
    : >{once}
    echo 'ctr: image "bundle.local/tgt-sample/app@sha256:0": already exists' >&2
    exit 1
  }} ;;
esac
exec {ctr} "$@"
"""


@pytest.mark.cluster
@pytest.mark.parametrize("ctr", [_AT_A_LAYER, _AT_A_BLOB, _AT_A_NAME], ids=["at a layer", "at a blob", "at a name"])
def test_an_import_that_another_one_got_in_the_way_of_is_done_again(
    program: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ctr: str
) -> None:
    subject = InCluster(program)
    part = subject.image.platforms[0]
    once, layer = tmp_path / "once", part.layers[0].digest
    shadow_ctr(tmp_path, monkeypatch, ctr, once=once, layer=layer)
    load = loading(subject)
    moved: list[int] = []
    subject.target.apply(load, subject.blobs, {}, moved.append)
    try:
        assert once.exists()
        assert sum(moved) == sum(one.size_bytes for one in (*part.layers, part.config, part.manifest)), "each byte once"
        assert load.payload["reference"] in subject.node.images()
    finally:
        delivery.unload(subject.node, load.payload)
    assert subject.remains(subject.app) == []


@pytest.mark.cluster
def test_an_import_leaves_the_claims_of_others(program: bytes) -> None:
    """Two that saw no image import it one after the other."""
    subject = InCluster(program)
    load = loading(subject)
    subject.target.apply(load, subject.blobs, {}, lambda size: None)
    reference, other = load.payload["reference"], delivery.mark("other", "app")
    subject.node.label(reference, {other: "yes"})
    subject.node.remove(load.payload["tagged"])
    subject.target.apply(load, subject.blobs, {}, lambda size: None)
    there = subject.node.images()
    own = delivery.mark(load.payload["namespace"], load.payload["app"])
    assert {other, own, delivery.PINNED} <= there[reference][1].keys()
    assert load.payload["tagged"] in there
    for namespace, app in (("other", "app"), (load.payload["namespace"], load.payload["app"])):
        delivery.unload(subject.node, {**load.payload, "namespace": namespace, "app": app})
    assert subject.remains(subject.app) == []


_LAST_TO_LEAVE = """#!/bin/sh
case "$*" in *" images label "*) {ctr} --namespace k8s.io images remove {reference} >/dev/null ;; esac
exec {ctr} "$@"
"""


@pytest.mark.cluster
def test_an_image_that_another_app_took_along_meanwhile_is_let_go_of(
    program: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = InCluster(program)
    load = loading(subject)
    subject.target.apply(load, subject.blobs, {}, lambda size: None)
    with monkeypatch.context() as patched:
        shadow_ctr(tmp_path, patched, _LAST_TO_LEAVE, reference=load.payload["reference"])
        delivery.unload(subject.node, load.payload)
    left = subject.node.images()
    assert load.payload["reference"] not in left
    own = load.payload["manifest"]["digest"]  # tests beside it have images of the same name
    subject.node.remove(*(name for name, (target, _) in left.items() if target == own))


_ONE_THAT_COMES = """#!/bin/sh
{ctr} "$@" || exit
case "$*" in *" images remove "*)
  [ -e {once} ] || {{ : >{once}; {ctr} --namespace k8s.io images label {reference} {mark}=yes >/dev/null; }} ;;
esac
"""


@pytest.mark.cluster
def test_an_image_that_another_app_claims_while_it_goes_stays_whole(
    program: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = InCluster(program)
    load = loading(subject)
    subject.target.apply(load, subject.blobs, {}, lambda size: None)
    reference, other = load.payload["reference"], delivery.mark("other", "app")
    with monkeypatch.context() as patched:
        shadow_ctr(tmp_path, patched, _ONE_THAT_COMES, once=tmp_path / "once", reference=reference, mark=other)
        delivery.unload(subject.node, load.payload)
    there = subject.node.images()
    assert {reference, load.payload["tagged"]} <= there.keys()
    assert [key for key in there[reference][1] if key.startswith(delivery.BROUGHT)] == [other]
    delivery.unload(subject.node, {**load.payload, "namespace": "other", "app": "app"})
    assert subject.remains(subject.app) == []
