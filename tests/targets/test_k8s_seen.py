"""What a cluster shows of pods, their logs and nodes, as it is taken: the pure parts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from k8s_sample import Json, owner, running, states
from test_k8s_checks import GIB, lacking, node, steps

from bundler.model.observed import Instance, LogLine, State
from targets.k8s import logs, names, nodes
from targets.k8s.instances import instances, is_ready
from targets.k8s.instances import lacking as lacks
from targets.k8s.logs import has_begun


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


def test_the_container_of_a_workload_is_told_by_its_name_whatever_a_service_mesh_puts_before_it() -> None:
    beside = {"name": "proxy", "ready": True, "restartCount": 0, "state": {"running": {}}}
    pod = running("s2", ready=False)
    pod["spec"]["containers"].insert(0, {"name": "proxy"})
    pod["status"]["containerStatuses"].insert(0, beside)
    own = pod["status"]["containerStatuses"][1]
    own |= {"restartCount": 0, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
    assert not has_begun(pod)
    own |= {"restartCount": 7, "lastState": {"terminated": {"exitCode": 3}}}
    assert has_begun(pod)
    found = seen(pod)
    assert (found.state, found.restarts, found.exit_code) == (State.RESTARTING, 7, 3)
    own |= {"ready": True, "state": {"running": {}}}
    pod["spec"]["containers"][1]["readinessProbe"] = {}
    assert seen(pod).state is State.HEALTHY


def test_an_imported_image_that_the_kubelet_withholds_is_no_thing_to_wait_for() -> None:
    digest = f"sha256:{'7' * 64}"
    pod = running("s2", ready=False)
    pod["spec"]["nodeName"] = "n1"
    message = f'Container image "bundle.local/a/b@{digest}" is not present with pull policy of Never'
    waiting = {"state": {"waiting": {"reason": "ErrImageNeverPull", "message": message}}}
    init = {"name": "seed", **waiting}
    for where in ({"initContainerStatuses": [init]}, {"containerStatuses": [{"name": "web", **waiting}]}):
        pod["status"] = {"phase": "Pending", **where}
        found = seen(pod)
        assert (found.state, found.stuck) == (State.CREATED, True)
        assert "where n1 lacks the image, deploying again brings it; where not, its kubelet has" in found.detail
        assert f"images list -q target.digest=={digest} | grep" in found.detail
    waiting["state"]["waiting"] |= {"message": 'Container image "nosuch:1" is not present with pull policy of Never'}
    assert seen(pod).detail == 'ErrImageNeverPull: Container image "nosuch:1" is not present with pull policy of Never'
    waiting["state"]["waiting"] = {"reason": "ErrImagePull", "message": "timeout"}
    assert not seen({**pod, "status": {"phase": "Pending", "containerStatuses": [{"name": "web", **waiting}]}}).stuck


def test_a_healthy_pod_of_an_earlier_template_is_not_ready() -> None:
    assert states([running("s1")]) == [State.STARTING, State.CREATED]
    assert states([running("s1"), running("s2", name="web-2")]) == [State.HEALTHY, State.STARTING]
    assert states([running("s2")]) == [State.HEALTHY]


def test_what_is_scaled_to_nothing_is_stopped() -> None:
    assert states([], owner(replicas=0)) == [State.STOPPED]


def test_an_image_that_may_not_be_pulled_says_what_to_do() -> None:
    message = "pull access denied, repository does not exist or may require authorization: no basic auth credentials"
    waiting = {"waiting": {"reason": "ErrImagePull", "message": message}}
    for where in ("containerStatuses", "initContainerStatuses"):
        pod = running("s2", ready=False)
        pod["status"] = {"phase": "Pending", where: [{"name": "web", "state": waiting}]}
        objects_there = {"Deployment": [owner()]}
        (one,) = instances(objects_there, [pod], {}, "sample")
        assert "--pull-secret-from" in one.detail


def test_a_pod_that_ends_does_not_count() -> None:
    ending = running("s2")
    ending["metadata"]["deletionTimestamp"] = "now"
    assert states([ending]) == [State.CREATED]


# pods that are missing


def set_of(replicas: int) -> Json:
    """A StatefulSet, whose controller says nothing in its conditions."""
    return {**owner(replicas=replicas), "metadata": {**owner()["metadata"], "uid": "of-set"}}


def job(**more: object) -> Json:
    annotations = {"dev.graphbundle.resource": "job/seed", "dev.graphbundle.spec": "s1"}
    metadata = {"uid": "of-job", "name": "seed", "labels": names.labels("sample", "seed"), "annotations": annotations}
    metadata["creationTimestamp"] = "2026-01-01T00:00:00Z"
    return {"metadata": metadata, "spec": {"parallelism": 1, **more}, "status": {}}


def test_a_set_or_job_without_pods_says_why() -> None:
    events = {"of-set": "exceeded quota", "of-job": "denied by a webhook"}
    for kind, found, reason in (
        ("StatefulSet", set_of(1), "exceeded quota"),
        ("Job", job(), "denied by a webhook"),
    ):
        (one,) = instances({kind: [found]}, [], events, "sample")
        assert (one.state, one.detail) == (State.CREATED, reason)


def test_events_are_asked_for_only_where_pods_are_missing() -> None:
    pod = running("s2")
    pod["metadata"]["ownerReferences"] = [{"controller": True, "uid": "of-set"}]
    assert not lacks({"StatefulSet": [set_of(1)]}, [pod], "sample")
    assert not lacks({"StatefulSet": [set_of(0)]}, [], "sample")
    assert lacks({"StatefulSet": [set_of(2)]}, [pod], "sample")
    assert lacks({"Job": [job()]}, [], "sample")
    ended = {**job(), "status": {"conditions": [{"type": "Failed", "status": "True"}]}}
    assert not lacks({"Job": [ended, job(parallelism=0)]}, [], "sample")
    assert not lacks({"Job": [job()]}, [], "another")


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


# logs


@pytest.mark.timeout(20)
def test_an_error_of_any_kind_ends_a_followed_log() -> None:
    def broken() -> Iterator[LogLine]:
        yield LogLine("2026-01-01T00:00:00Z", "web", 0, "first")
        raise ValueError("no line")

    lines = logs.as_they_come([broken(), iter(())])
    assert next(lines).text == "first"
    with pytest.raises(ValueError, match="no line"):
        next(lines)
