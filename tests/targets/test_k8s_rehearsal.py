"""What a cluster says to a plan before its first step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from clusters import InCluster, set_quota
from test_k8s_api import namespace

from bundler.model.graph import Resources
from bundler.model.plan import Step, Verdict
from bundler.model.release import Release
from targets.k8s import rehearsal
from targets.k8s.api import Api
from targets.k8s.target import KubernetesTarget
from targets.sample import sample, with_service

__all__ = ["namespace"]  # a fixture

Json = dict[str, Any]
PODS = {"containers": [{"resources": {"requests": {"memory": "1Gi"}, "limits": {"memory": "2Gi"}}}]}


def quota(used: str = "0", **scopes: object) -> Json:
    kinds = {"pods": "4", "requests.memory": "3Gi", "limits.memory": "8Gi", "count/services": "0"}
    return {"metadata": {"name": "small"}, "spec": scopes, "status": {"hard": kinds, "used": {"pods": used}}}


def test_pods_that_together_are_beyond_a_quota_are_said() -> None:
    assert rehearsal.exceeded([quota()], [(PODS, 3)]) == []
    assert rehearsal.exceeded([quota()], [(PODS, 1), (PODS, 3)]) == [
        "new pods ask for 4 GiB together (requests.memory); quota small has 3 GiB left"
    ]
    assert rehearsal.exceeded([quota("2")], [(PODS, 3)]) == [
        "new pods ask for 3 pods together (pods); quota small has 2 pods left"
    ]
    assert rehearsal.exceeded([quota("2", scopes=["BestEffort"])], [(PODS, 3)]) == []
    beyond = rehearsal.exceeded([quota()], [(PODS, 5)])
    assert [one.partition("(")[2].partition(")")[0] for one in beyond] == ["limits.memory", "pods", "requests.memory"]


# on a cluster


@pytest.fixture
def said(program: bytes, namespace: tuple[Api, str]) -> Iterator[Any]:
    """What is said of a release, by resource and feature, in a namespace of an administrator's."""
    subject, (api, name) = InCluster(program), namespace
    target = KubernetesTarget(replace(subject.target.settings, namespace=name), api)

    def ask(verdict: Verdict = Verdict.REFUSED, **web: object) -> dict[str, str]:
        release = with_service(sample(subject), "web", **web)
        steps = target.plan(release, target.observe(subject.app)).steps
        notes = rehearsal.check(api, name, steps)
        return {f"{note.resource} {note.feature}": note.reason for note in notes if note.verdict is verdict}

    yield ask
    for kind in ("Deployment", "StatefulSet", "Job", "Pod", "PersistentVolumeClaim"):
        assert api.list(kind, name) == [], "nothing of it has an effect"


@pytest.mark.cluster
def test_what_quotas_and_limits_of_the_namespace_refuse_is_said(said: Any, namespace: tuple[Api, str]) -> None:
    api, name = namespace
    assert said() == said(Verdict.ADAPTED) == {}
    most = {"limits": [{"type": "Container", "max": {"memory": "64Mi"}}]}
    limits = {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "small"}, "spec": most}
    api._call("POST", f"/api/v1/namespaces/{name}/limitranges", "setting limits", body=limits)
    assert said() == {}, "the most there may be is the default"
    reason = "the namespace limits it to 64 MiB, as the graph says nothing (LimitRange)"
    assert said(Verdict.ADAPTED) == dict.fromkeys(
        ("job/seed memory", "service/store memory", "service/web memory"), reason
    )
    told = said(resources=Resources(memory_bytes=1 << 30))
    assert "maximum memory usage per Container is 64Mi, but limit is 1073741824; kubectl" in told["service/web pods"]
    assert "let the graph ask for something else" in told["service/web pods"]

    set_quota(api, name, pods="3", persistentvolumeclaims="0")
    told = said(min_instances=3, max_instances=3)
    reason = told["volume/data PersistentVolumeClaim/data"]
    assert "exceeded quota: small, requested: persistentvolumeclaims=1" in reason
    set_quota(api, name, persistentvolumeclaims="9")
    (reason,) = said(min_instances=3, max_instances=3).values()
    assert "new pods ask for 4 pods together (pods); quota small has 3 pods left" in reason
    assert said(min_instances=2, max_instances=2) == {}


@pytest.mark.cluster
def test_what_others_manage_and_classes_that_are_not_there_are_said(program: bytes, namespace: tuple[Api, str]) -> None:
    subject, (api, name) = InCluster(program), namespace
    target = KubernetesTarget(replace(subject.target.settings, namespace=name), api)

    def plan(release: Release) -> Any:
        return target.plan(release, target.observe(subject.app)).steps

    release = replace(sample(subject), placement=(("services.web", (("priority", "none-such"),)),))
    (note,) = rehearsal.check(api, name, plan(release))
    assert (note.resource, note.feature) == ("service/web", "pods")
    assert "no PriorityClass with name none-such was found" in note.reason

    step = next(one for one in plan(sample(subject)) if one.resource == "service/web")
    target.apply(step, None, {}, lambda _: None)
    set_quota(api, name, pods="0")
    for change, features in (({"doors": ()}, []), ({"stop_grace_period_s": 9.0}, ["pods"])):
        steps = [one for one in plan(with_service(sample(subject), "web", **change)) if one.resource == "service/web"]
        assert steps
        found = rehearsal.check(api, name, steps)
        assert [note.feature for note in found] == features, "only a successor is a pod more"

    image = {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "docker.io/other"}]}}}}
    path = f"/apis/apps/v1/namespaces/{name}/deployments/web"
    api._call("PATCH", path, "editing", body=image, media_type="application/strategic-merge-patch+json")
    found = rehearsal.check(api, name, plan(with_service(sample(subject), "web", working_dir="/tmp")))
    (note,) = [note for note in found if note.resource == "service/web"]
    assert note.feature == "Deployment/web"
    assert "others manage fields of it" in note.reason
    assert '.containers[name="web"].image' in note.reason


@pytest.mark.cluster
def test_an_edit_that_clashes_with_what_we_write_is_said_with_the_way_on(
    program: bytes, namespace: tuple[Api, str]
) -> None:
    subject, (api, name) = InCluster(program), namespace
    target = KubernetesTarget(replace(subject.target.settings, namespace=name), api)

    def web(release: Release) -> Step:
        steps = target.plan(release, target.observe(subject.app)).steps
        return next(one for one in steps if one.resource == "service/web")

    target.apply(web(sample(subject)), None, {}, lambda _: None)
    edit = [{"op": "replace", "path": "/spec/ports/0/port", "value": 9999}]
    path = f"/api/v1/namespaces/{name}/services/web"
    api._call("PATCH", path, "editing", body=edit, media_type="application/json-patch+json")
    (note,) = rehearsal.check(api, name, [web(with_service(sample(subject), "web", working_dir="/tmp"))])
    assert "Duplicate value" in note.reason
    assert f"kubectl delete services web --namespace {name}, and the next deploy makes it anew" in note.reason


@pytest.mark.cluster
def test_a_check_rehearses_and_tells_of_network_policies_for_all_pods(
    program: bytes, namespace: tuple[Api, str]
) -> None:
    subject, (api, name) = InCluster(program), namespace
    target = KubernetesTarget(replace(subject.target.settings, namespace=name), api)

    def told(feature: str) -> list[str]:
        notes = target.check(target.plan(sample(subject), target.observe(subject.app)))
        return [note.reason for note in notes if note.feature == feature]

    for policy, selector, found in (("one", {"matchLabels": {"a": "b"}}, 0), ("deny-all", {}, 1)):
        spec = {"podSelector": selector, "policyTypes": ["Ingress", "Egress"]}
        group = "networking.k8s.io/v1"
        body = {"apiVersion": group, "kind": "NetworkPolicy", "metadata": {"name": policy}, "spec": spec}
        api._call("POST", f"/apis/{group}/namespaces/{name}/networkpolicies", "setting a policy", body=body)
        assert len(told("network")) == found
    assert told("network")[0].endswith("(each other, DNS, what is outside): deny-all")
    assert told("pods") == []
    set_quota(api, name, pods="0")
    assert len(told("pods")) == 3
