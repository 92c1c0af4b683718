"""What a cluster shows of pods and nodes, as it is taken: the pure parts."""

from __future__ import annotations

from typing import Any

from test_k8s_checks import GIB, lacking, node, steps
from test_k8s_parts import owner, running, states

from bundler.model.observed import Instance, State
from targets.k8s import nodes
from targets.k8s.instances import instances, is_ready

Json = dict[str, Any]


def seen(pod: Json) -> Instance:
    (one,) = instances({"Deployment": [owner()]}, [pod], {}, "sample")
    return one


# pods


def on_a_dead_node(**condition: str) -> Json:
    """As the node controller leaves it: what the kubelet said last of the containers stays."""
    pod = running("s2")
    pod["spec"]["nodeName"] = "n1"
    pod["status"]["conditions"] = [{"type": "ContainersReady", "status": "True"}]
    pod["status"]["conditions"].append({"type": "Ready", "status": "False", **condition})
    return pod


def test_a_pod_whose_node_is_gone_is_not_healthy_whatever_its_containers_were() -> None:
    pod = on_a_dead_node()
    assert not is_ready(pod)
    assert states([pod]) == [State.UNHEALTHY]
    assert seen(pod).detail == "nothing is heard of its node n1"
    assert seen(on_a_dead_node(message="a gate\n is closed")).detail == "a gate is closed"
    pod["status"]["conditions"][-1]["status"] = "True"
    assert is_ready(pod)
    assert states([pod]) == [State.HEALTHY]


# nodes


def test_a_taint_is_one_for_the_choice_of_nodes_and_for_the_room_on_them() -> None:
    passing = {"key": "node.kubernetes.io/not-ready", "effect": "NoExecute"}
    kept = {"key": "example.com/kept", "effect": "NoSchedule"}
    without_key = {"operator": "Exists", "effect": "NoSchedule"}
    slow = {"key": "example.com/slow", "effect": "PreferNoSchedule"}
    for taints, takes, closed in (
        ([slow], True, ()),
        ([passing], True, ("node.kubernetes.io/not-ready",)),
        ([passing, kept], False, ("node.kubernetes.io/not-ready", "example.com/kept")),
        ([without_key], False, ("",)),
    ):
        there = node(taints=taints)
        assert bool(nodes.taking_pods([there])) is takes
        assert nodes.closing(there) == closed
        assert bool(lacking(steps(GIB), [there], [])) is bool(closed)
