"""What is asked of a cluster before the first step: the pure parts."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Any

import pytest
from k8s_sample import FEATURES, made, nothing, plan, released

from bundler.errors import UsageError
from bundler.model.graph import Resources
from bundler.model.plan import Action, Step, Verdict
from bundler.model.release import ReleaseDoor
from targets.k8s import access, room
from targets.k8s import cluster as facts
from targets.k8s.access import Right
from targets.k8s.target import create

Json = dict[str, Any]
GIB = 1 << 30


# rights


def rights(steps: tuple[Step, ...]) -> set[str]:
    return {f"{right.verb} {right.shown}" for right in access.needs(steps)}


def test_a_plan_needs_rights_for_its_steps_and_no_others() -> None:
    first = rights(plan(released()).steps)
    assert {"create namespaces", "patch deployments.apps", "create jobs.batch", "list secrets"} <= first
    assert not any("ingress" in one or "cronjobs" in one for one in first)
    assert rights(()) == set()
    there = plan(released(), nothing(FEATURES | {facts.NAMESPACE})).steps
    assert not any("namespaces" in one for one in rights(there))
    ours = FEATURES | {facts.NAMESPACE, facts.OWN_NAMESPACE}
    assert "patch namespaces" in rights(plan(released(), nothing(ours)).steps)
    assert "create namespaces" not in rights(plan(released(), nothing(ours)).steps)
    assert "delete namespaces" in rights(plan(None, nothing(ours)).steps)


@pytest.mark.parametrize(
    ("right", "rule", "granted"),
    [
        (Right("apps", "deployments", "patch"), {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}, True),
        (Right("", "secrets", "list"), {"verbs": ["list"], "apiGroups": [""], "resources": ["secrets"]}, True),
        (Right("", "secrets", "list"), {"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"]}, False),
        (Right("", "secrets", "list"), {"verbs": ["list"], "apiGroups": ["apps"], "resources": ["secrets"]}, False),
        (
            Right("apps", "deployments/scale", "patch"),
            {"verbs": ["patch"], "apiGroups": ["apps"], "resources": ["deployments"]},
            False,
        ),
        (
            Right("apps", "deployments/scale", "patch"),
            {"verbs": ["patch"], "apiGroups": ["apps"], "resources": ["*/scale"]},
            True,
        ),
    ],
)
def test_rules_grant_what_they_say(right: Right, rule: Json, granted: bool) -> None:
    assert access.granted(right, rule) is granted


def test_what_is_missing_is_named_with_commands_that_grant_it() -> None:
    secrets = {Right("", "secrets", verb) for verb in ("get", "list")}
    note = access.refused(frozenset({*secrets, Right("apps", "deployments", "create")}), "o'neil", "site")
    assert note.verdict is Verdict.REFUSED
    assert "o'neil may not create deployments.apps; get, list secrets; " in note.reason
    command = note.reason.partition("run: ")[2].partition(", or")[0]
    assert shlex.split(command)[-2:] == ["--user=o'neil", "--namespace=site"]

    no_namespace = access.refused(frozenset({Right("", "namespaces", "create")}), "me", "site")
    assert no_namespace.reason.endswith("run: kubectl create namespace site, or choose a --namespace where you may")
    keeps = access.refused(frozenset({Right("", "namespaces", "delete")}), "system:serviceaccount:ci:bot", "site")
    assert "--verb=delete --resource=namespaces --namespace=site" in keeps.reason
    assert "--serviceaccount=ci:bot" in keeps.reason


# room


def node(name: str = "n1", memory: str = "8Gi", **more: object) -> Json:
    allocatable = {"cpu": "4", "memory": memory, "pods": "10"}
    return {"metadata": {"name": name}, "spec": more, "status": {"allocatable": allocatable}}


def pod(memory: str, where: str = "n1", **labels: str) -> Json:
    containers = [{"resources": {"requests": {"memory": memory}}}]
    return {"metadata": {"name": "p", "labels": labels}, "spec": {"nodeName": where, "containers": containers}}


def steps(memory_bytes: int, cpus: float | None = None) -> tuple[Step, ...]:
    release = released(resources=Resources(memory_bytes=memory_bytes, cpus=cpus))
    return tuple(step for step in plan(release).steps if step.resource == "service/web")


def lacking(wanted: tuple[Step, ...], nodes: list[Json], pods: list[Json] | None = None) -> list[str]:
    return [f"{one.feature}: {one.reason}" for one in room.lacking(wanted, nodes, pods, "sample")]


@pytest.mark.parametrize(
    ("text", "amount"),
    [("1", 1), ("100m", 0.1), ("0.5", 0.5), ("64Mi", 64 << 20), ("2k", 2000), ("1e3", 1000), ("1E", 10**18), (3, 3)],
)
def test_quantities_are_read_as_kubernetes_writes_them(text: object, amount: float) -> None:
    assert room.quantity(text) == amount * 1000


def test_what_fits_no_node_or_not_now_is_said() -> None:
    assert lacking(steps(GIB), [node()], []) == []
    (large,) = lacking(steps(9 * GIB), [node(), node("n2", "4Gi")])
    assert large == "memory: a pod asks for 9 GiB; the largest node, n1, has 8 GiB"
    (full,) = lacking(steps(2 * GIB), [node(), node("n2", "4Gi")], [pod("7Gi"), pod("3Gi", "n2")])
    assert full == "memory: a pod asks for 2 GiB; the node with most left, n1, has 1 GiB"
    assert lacking(steps(2 * GIB), [node(), node("n2", "4Gi")], [pod("7Gi")]) == []
    assert lacking(steps(2 * GIB), [node()], None) == [], "nobody says what others have"
    (busy,) = lacking(steps(GIB, cpus=50), [node()], [])
    assert busy.startswith("cpu: a pod asks for 5 cpus (a tenth of its `cpus`); the largest node, n1, has 4 cpus")
    (many,) = lacking(steps(GIB), [node()], [pod("1")] * 10)
    assert many == "pods: no node takes one pod more"


def test_services_that_do_not_fit_together_are_said() -> None:
    release = released(resources=Resources(memory_bytes=3 * GIB), min_instances=3)
    (said,) = lacking(plan(release).steps, [node()], [])
    assert said == "memory: together they ask for 9 GiB; the nodes have 8 GiB left"
    assert lacking(plan(release).steps, [node(), node("n2")], []) == []


def test_a_successor_starts_beside_the_one_that_it_replaces() -> None:
    (step,) = steps(5 * GIB)
    old = pod(
        "5Gi", **{"dev.graphbundle.app": "sample", "dev.graphbundle.node": "web", "dev.graphbundle.target": "k8s"}
    )
    assert lacking((step,), [node()], [old]) == []
    replacing = Step(step.resource, Action.REPLACE, "", step.payload)
    (said,) = lacking((replacing,), [node()], [old])
    assert "beside the one that it replaces; the node with most left, n1, has 3 GiB" in said
    ending = {**old, "metadata": {**old["metadata"], "deletionTimestamp": "now"}}
    assert lacking((replacing,), [node()], [ending]) == []


def test_nodes_that_take_no_pods_are_named_with_the_reason() -> None:
    taint = {"key": "node.kubernetes.io/disk-pressure", "effect": "NoSchedule"}
    (said,) = lacking(steps(GIB), [node(taints=[taint]), node("n2", unschedulable=True)], [])
    assert said == "room: no node takes pods: n1 (node.kubernetes.io/disk-pressure), n2 (cordoned)"
    assert lacking(steps(GIB), [node(taints=[{**taint, "effect": "PreferNoSchedule"}])], []) == []


def test_init_containers_ask_one_after_the_other() -> None:
    asks = {"resources": {"requests": {"memory": "2Gi"}}}
    spec = {"containers": [asks], "initContainers": [asks, {"resources": {"limits": {"memory": "3Gi"}}}]}
    assert room.requests(spec)["memory"] == 3 * GIB * 1000


# classes


def test_a_storage_class_that_is_not_there_is_refused_beside_those_that_are() -> None:
    release = replace(released(), storage=(("data", "fast"),))
    has = FEATURES | {facts.STORES + "slow", facts.STORES + "local"}
    (note,) = plan(release, nothing(has)).refused
    assert "no StorageClass 'fast', it has local, slow; site file: storage: {data: {class: local}}" in note.reason
    assert plan(release, nothing(has | {facts.STORES + "fast"})).refused == ()
    assert plan(release).refused == (), "who may not list classes is believed"
    (note,) = plan(released(), nothing(has - {facts.STORAGE})).refused
    assert "no default StorageClass, it has local, slow" in note.reason


def test_an_ingress_is_served_by_the_default_class_or_the_only_one() -> None:
    door = ReleaseDoor("front", "web", 8000, "http", "127.0.0.1", 8080, host="web.example")
    release = released(doors=(door,))

    def told(*features: str) -> tuple[str | None, str]:
        there = FEATURES | set(features)
        ingress = next(one for one in made(release, there)["web"].around if one.kind == "Ingress")
        notes = [note.reason for note in plan(release, nothing(there)).notes if note.feature == "publish front"]
        return ingress.body["spec"].get("ingressClassName"), "".join(notes)

    one, two = facts.SERVES + "nginx", facts.SERVES + "traefik"
    assert told() == (None, "the cluster has no IngressClass to serve its Ingress")
    assert told(facts.HIDDEN_INGRESS) == (None, "")
    assert told(one) == ("nginx", "")
    assert told(one, two, facts.INGRESS) == (None, "")
    name, note = told(one, two)
    assert name is None
    assert note.startswith(
        "of the IngressClasses nginx, traefik none is the default; once it is there, choose: kubectl"
    )


def test_an_endpoint_that_speaks_tls_itself_is_told_behind_an_ingress() -> None:
    for scheme, host, told in (("https", "web.example", True), ("http", "web.example", False), ("https", None, False)):
        door = ReleaseDoor("front", "web", 8000, scheme, "127.0.0.1", 8080, host=host)
        notes = [note for note in plan(released(doors=(door,))).notes if note.feature == "publish front https"]
        assert bool(notes) is told


# names


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("namespace", "Foo_Bar"),
        ("namespace", ""),
        ("pull_secret", "A b"),
        ("registry", "https://registry.example/site"),
        ("registry", "registry.example/Site"),
        ("registry", "site/images"),
        ("registry", ""),
    ],
)
def test_what_can_name_nothing_is_refused_at_once(option: str, value: str) -> None:
    with pytest.raises(UsageError, match=f"--{option.replace('_', '-')}"):
        create({option: value})


@pytest.mark.parametrize(
    "registry", ["registry.example/site", "localhost/a", "127.0.0.1:5000", "10.0.0.1:5000/a/b-c", "[::1]:5000/x"]
)
def test_registries_are_hosts_with_paths(registry: str) -> None:
    create({"registry": registry})


def test_one_way_of_images_is_enough() -> None:
    with pytest.raises(UsageError, match="--import and --registry"):
        create({"registry": "registry.example/site", "import": "yes"})
