"""Several nodes, and nodes that are containers: what is planned, and what is said where one is not reached."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from k8s_sample import FEATURES, SETTINGS, SOCKET, Json, container, in_place, nothing, plan, pod, released

from bundler.errors import TargetError
from bundler.model.observed import Observed, Record, Thing
from bundler.model.oci import Platform
from bundler.model.plan import Plan, Verdict
from targets.k8s import cluster as facts
from targets.k8s import nodes
from targets.k8s.cluster import Settings
from targets.k8s.delivery import Node, distinct
from targets.k8s.helper import helper as helper_image
from targets.k8s.target import KubernetesTarget, create
from targets.sample import settled

SECOND = "docker://second"
BOTH = Settings(sockets=(SOCKET, SECOND))
TWO_NODES = FEATURES | {facts.NODES + "2"}
AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")


def in_both(observed: Observed) -> Observed:
    """With the images in the second node as well."""
    images = [thing for thing in observed.things if thing.resource.startswith("image/")]
    rest = [thing for thing in observed.things if thing not in images]
    there = [
        replace(thing, resource=f"{thing.resource} in {socket}", spec=socket)
        for thing in images
        for socket in BOTH.sockets
    ]
    return replace(observed, things=(*rest, *there))


def loads(planned: Plan) -> list[str]:
    return [step.id for step in planned.steps if step.payload["do"] == "import"]


def test_an_image_is_loaded_into_each_node() -> None:
    planned = plan(released(), nothing(TWO_NODES), BOTH)
    assert loads(planned) == [
        "load image/app in /run/containerd.sock",
        "load image/app in docker://second",
        "create helper in /run/containerd.sock",
        "create helper in docker://second",
    ]
    steps = {step.id: step for step in planned.steps}
    assert [steps[one].payload["socket"] for one in loads(planned)] == [SOCKET, SECOND] * 2
    assert steps[loads(planned)[0]].moves_bytes == steps[loads(planned)[1]].moves_bytes > 0
    assert steps["create helper in docker://second"].after == ("load image/app in docker://second",)
    assert set(loads(planned)) <= set(steps["create service/store"].after)


def test_an_image_is_there_only_where_all_nodes_have_it() -> None:
    observed = in_both(in_place(released()))
    release = replace(settled(released(), observed), recorded=True)
    assert plan(release, observed, BOTH).steps == ()
    reference = container(release, "web")["image"]
    kept = [thing for thing in observed.things if (thing.name, thing.spec) != (reference, SECOND)]
    assert loads(plan(release, replace(observed, things=tuple(kept)), BOTH)) == ["load image/app in docker://second"]


def test_what_another_app_brought_to_one_node_is_sent_to_the_other_alone() -> None:
    reference = container(released(), "web")["image"]
    theirs = Thing("image/app", reference, SECOND, foreign=True, shared=True)
    planned = plan(released(), replace(nothing(TWO_NODES), things=(theirs,)), BOTH)
    first, second = (step for step in planned.steps if step.resource.startswith("image/app"))
    assert (first.cause, second.cause) == ("not there", "another app brought it")
    assert first.moves_bytes > second.moves_bytes == 0


def test_the_image_of_our_own_helper_is_used_by_apps_and_brought_by_none() -> None:
    helper = helper_image("amd64", None).reference
    theirs = Thing("image/helper", helper, SOCKET, foreign=True, shared=True)
    planned = plan(released(), replace(nothing(), things=(theirs,)))
    assert [step.cause for step in planned.steps if step.resource == "helper"] == ["another app uses it"]
    there = in_place(released())
    things = tuple(replace(one, shared=one.resource == "image/helper") for one in there.things)
    (removal,) = (one for one in plan(None, replace(there, things=things)).steps if one.resource == "image/helper")
    assert removal.cause == "let go of alone: it stays, as another app uses it too"


def test_a_removal_unloads_from_each_node() -> None:
    unloads = [step for step in plan(None, in_both(in_place(released())), BOTH).steps if "unload" in str(step.payload)]
    assert [step.payload["socket"] for step in unloads] == [SOCKET, SECOND] * 2
    assert len({step.id for step in unloads}) == 4
    assert {step.resource.partition(" ")[0]: step.cause for step in unloads} == {
        "image/app": "only this app brought it",
        "image/helper": "only this app uses it",
    }


def test_a_removal_says_which_images_stay_and_why() -> None:
    there = in_place(released())
    things = tuple(replace(one, shared=one.resource == "image/app") for one in there.things)
    unloads = [step for step in plan(None, replace(there, things=things)).steps if "unload" in str(step.payload)]
    told = {step.resource: step.cause for step in unloads}
    assert told.pop("image/app") == "let go of alone: it stays, as another app brought it too"
    assert set(told.values()) == {"only this app uses it"}


def test_a_removal_says_that_images_stay_on_nodes_it_is_not_told_of() -> None:
    there = replace(in_place(released()), records=(Record(1, ""),))
    assert plan(None, there).notes == ()
    for named, settings in ((0, Settings()), (1, SETTINGS)):
        two = replace(there, host=replace(there.host, features=there.host.features | {facts.NODES + "2"}))
        (note,) = plan(None, two, settings).notes
        assert f"it names {named} of 2" in note.reason
    pulled = replace(there.host, features=there.host.features | {facts.PULLS_FROM + "registry.example/site"})
    (note,) = plan(None, replace(there, host=pulled), Settings()).notes
    assert note.reason == "pushed ones stay in registry.example/site, where other apps may use them"


def test_a_node_that_no_import_reaches_is_refused_with_how_to_name_it() -> None:
    (note,) = plan(released(), nothing(FEATURES | {facts.NODES + "3"}), BOTH).refused
    assert "pods come to 3 nodes, and an import reaches 2: /run/containerd.sock, docker://second" in note.reason
    assert "--containerd SOCKET once for each node" in note.reason
    assert "--registry" in note.reason


def test_a_node_that_came_later_is_noted_while_nothing_is_to_be_brought() -> None:
    observed = in_place(released())
    release = replace(settled(released(), observed), recorded=True)
    host = replace(observed.host, features=observed.host.features | {facts.NODES + "2"})
    planned = plan(release, replace(observed, host=host))
    assert planned.steps == ()
    assert [note.verdict for note in planned.notes if note.resource == "images"] == [Verdict.ADAPTED]


def test_two_ways_to_one_containerd_are_one() -> None:
    observed = nothing(TWO_NODES | {facts.CONTAINERD + SOCKET})
    (note,) = plan(released(), observed, BOTH).refused
    assert "an import reaches 1: /run/containerd.sock (docker://second leads to one of these)" in note.reason
    alone = nothing(FEATURES | {facts.NODES + "1", facts.CONTAINERD + SOCKET})
    assert loads(plan(released(), alone, BOTH)) == loads(plan(released()))


def test_a_node_without_containerd_is_refused() -> None:
    (note,) = plan(released(), nothing(FEATURES | {facts.RUNTIME + "docker"})).refused
    assert "runs its containers with docker" in note.reason


@pytest.mark.parametrize(
    "given", ["/run/a.sock,docker://b", " /run/a.sock , docker://b,", "/run/a.sock,docker://b,/run/a.sock"]
)
def test_several_sockets_have_commas_between_them(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CONTAINERD_ADDRESS", raising=False)
    assert settings_of_target(create({"containerd": given})).sockets == ("/run/a.sock", "docker://b")
    monkeypatch.setenv("CONTAINERD_ADDRESS", given)
    assert settings_of_target(create({})).sockets == ("/run/a.sock", "docker://b")
    assert settings_of_target(create({"containerd": "k3s://"})).sockets == ("k3s://",)


def settings_of_target(target: object) -> Settings:
    assert isinstance(target, KubernetesTarget)
    return target.settings


# nodes, as the cluster shows them


def node(
    name: str, architecture: str = "amd64", *taints: str, runtime: str = "containerd", cordoned: bool = False
) -> Json:
    info = {"operatingSystem": "linux", "architecture": architecture, "containerRuntimeVersion": f"{runtime}://1.2.3"}
    there = [{"key": key, "effect": effect} for key, _, effect in (taint.partition(":") for taint in taints)]
    return {
        "metadata": {"name": name},
        "spec": {"taints": there} | ({"unschedulable": True} if cordoned else {}),
        "status": {"nodeInfo": info},
    }


def test_nodes_that_take_no_pod_of_ours_need_no_images() -> None:
    there = [
        node("control-plane", "amd64", "node-role.kubernetes.io/control-plane:NoSchedule"),
        node("cordoned", "amd64", "node.kubernetes.io/unschedulable:NoSchedule", cordoned=True),
        node("worker", "amd64", "example.com/slow:PreferNoSchedule"),
        node("not-ready", "amd64", "node.kubernetes.io/not-ready:NoExecute"),
        node("gpus", "amd64", "nvidia.com/gpu:NoSchedule"),
    ]
    taking = nodes.taking_pods(there)
    assert [one["metadata"]["name"] for one in taking] == ["worker", "not-ready", "gpus"]
    assert facts.NODES + "3" in set(nodes.features(taking, AMD64))


def test_the_platform_is_that_of_most_nodes_until_something_runs() -> None:
    mixed = [node("a", "arm64"), node("b"), node("c", "arm64")]
    assert nodes.platform(mixed, set()) == ARM64
    assert nodes.platform(mixed, {"b"}) == AMD64
    assert nodes.platform(mixed[:2], set()) == AMD64
    assert nodes.platform([], set()) == AMD64
    assert set(nodes.features(mixed, ARM64)) == {facts.NODES + "2", facts.ALSO + "linux/amd64"}


def test_what_nodes_run_containers_with_is_seen() -> None:
    assert facts.RUNTIME + "cri-o" in set(nodes.features([node("a"), node("b", runtime="cri-o")], AMD64))


def test_pods_go_to_nodes_of_their_image_s_platform() -> None:
    assert pod(released(), "web")["nodeSelector"] == {"kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux"}
    planned = plan(released(), nothing(FEATURES | {facts.NODES + "1", facts.ALSO + "linux/arm64"}))
    (note,) = (note for note in planned.notes if note.resource == "nodes")
    assert str(note) == (
        "adapted: nodes platform: everything runs on those of linux/amd64; there are some of linux/arm64 too"
    )


# what a node's program says; a stand-in for it answers


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Puts a program of that name on PATH, which is this Python code."""

    def put(name: str, code: str) -> None:
        file = tmp_path / name
        file.write_text(f"#!{sys.executable}\nimport sys\n{code}\n")
        file.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    return put


INFO = """
address = sys.argv[2]
if address == "/none":
    sys.exit("ctr: cannot access socket /none")
pid = {"/run/a.sock": 1, "/run/b.sock": 2}.get(address, 1)
print('{"server": {"uuid": "of-the-image", "pid": %d, "pidns": 7, "deprecations": [{"at": "%s"}]}}' % (pid, address))
"""


def test_a_containerd_is_known_by_its_process(program: Callable[[str, str], None]) -> None:
    program("ctr", INFO)
    found = distinct([Node("/run/a.sock"), Node("/run/link-to-a.sock"), Node("/run/b.sock")])
    assert [one.socket for one in found] == ["/run/a.sock", "/run/b.sock"]
    with pytest.raises(TargetError, match="cannot access socket /none"):
        distinct([Node("/run/a.sock"), Node("/none")])


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("Error response from daemon: No such container: node", "kind get nodes"),
        ("Error response from daemon: container 0123 is not running", "docker start node"),
        (
            "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is it running?",
            "start the Docker engine",
        ),
        (
            "failed to connect to the docker API at unix:///x.sock; check if the path is correct",
            "start the Docker engine",
        ),
        ('exec failed: unable to start container process: exec: "ctr": executable file not found in $PATH', "no ctr"),
        ("ctr: cannot access socket /run/containerd/containerd.sock", "--container-runtime=containerd"),
        ("ctr: failed to dial: dial unix:///run/containerd/containerd.sock: timeout", "--container-runtime=containerd"),
    ],
)
def test_a_container_that_cannot_be_asked_is_told_with_what_to_do(
    said: str, hint: str, program: Callable[[str, str], None]
) -> None:
    program("docker", f"sys.exit({said!r})")
    with pytest.raises(TargetError) as raised:
        Node("docker://node").images()
    assert f"containerd at docker://node: images list: {said}" in raised.value.what
    assert hint in str(raised.value.hint)


def test_one_node_is_named_as_ever() -> None:
    assert loads(plan(released(), settings=SETTINGS)) == ["load image/app", "create helper"]
