"""What the cluster's API is asked, and asked not to do to another object than was looked at."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from threading import Timer
from typing import Any

import pytest
from clusters import set_quota, settings

from bundler.errors import TargetError
from bundler.model.plan import Action, Step
from targets import ownership
from targets.k8s import names
from targets.k8s.api import Api, Content, listed
from targets.k8s.cluster import Settings
from targets.k8s.emptiness import check
from targets.k8s.target import KubernetesTarget

Json = dict[str, Any]


def resource(name: str, *verbs: str, scope: str = "Namespaced") -> Json:
    return {"resource": name, "scope": scope, "verbs": list(verbs), "responseKind": {"kind": name.title()}}


def test_a_kind_is_listed_from_the_first_version_that_has_it() -> None:
    new: Json = {
        "version": "v1",
        "resources": [resource("gateways", "get", "list"), resource("classes", scope="Cluster")],
    }
    old: Json = {"version": "v1beta1", "resources": [resource("gateways", "list"), resource("grants", "list")]}
    old["resources"].append(resource("reviews", "create"))
    group = {"metadata": {"name": "net.example"}, "versions": [new, old, {"version": "v1alpha1"}]}
    assert [(path, one["resource"]) for path, one in listed(group)] == [
        ("/apis/net.example/v1", "gateways"),
        ("/apis/net.example/v1beta1", "grants"),
    ]


def test_a_namespace_goes_only_if_everything_in_it_was_seen() -> None:
    ours = {"metadata": {"name": "one", "labels": names.labels("shop")}}
    theirs = {"metadata": {"name": "edit"}}
    of_istio = {"metadata": {"name": "istio-ca-root-cert"}}
    there = (("ConfigMap", ours), ("RoleBinding", theirs), ("ResourceQuota", theirs), ("ConfigMap", of_istio))
    check("shop", "shop", Content(there, ("Role", "RoleBinding")))
    with pytest.raises(TargetError, match="Secret istio-ca-root-cert; left alone"):
        check("shop", "shop", Content((("Secret", of_istio),), ()))
    with pytest.raises(TargetError, match="not this app's: ConfigMap edit; left alone"):
        check("shop", "shop", Content((("ConfigMap", theirs),), ()))
    with pytest.raises(TargetError, match="not shown to this user: Secret, Widget; left alone") as raised:
        check("shop", "shop", Content((), ("Widget", "Role", "Secret")))
    assert "kubectl delete namespace shop" in str(raised.value.hint)


# on a cluster


@pytest.fixture
def namespace() -> Iterator[tuple[Api, str]]:
    settings()
    api, name = Api(), f"k8-{uuid.uuid4().hex[:6]}"
    api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, name)
    yield api, name
    api.delete("Namespace", name)
    assert api.get("Namespace", name) is None, "a removal returns once it is done"


@pytest.mark.cluster
def test_an_object_that_was_made_anew_is_neither_written_nor_removed(namespace: tuple[Api, str]) -> None:
    api, where = namespace
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "labels": names.labels("a")}}
    first = api.apply(body, where)["metadata"]["uid"]
    assert api.apply({**body, "data": {"a": "1"}}, where, uid=first)["data"] == {"a": "1"}
    api.delete("ConfigMap", "c", where, uid=first)
    with pytest.raises(TargetError, match="ConfigMap c is another one"):
        api.apply(body, where, uid=first)
    assert api.get("ConfigMap", "c", where) is None
    second = api.apply(body, where)["metadata"]["uid"]
    for write in (lambda: api.apply(body, where, uid=first), lambda: api.delete("ConfigMap", "c", where, uid=first)):
        with pytest.raises(TargetError, match="ConfigMap c is another one"):
            write()
    there = api.get("ConfigMap", "c", where)
    assert there is not None
    assert there["metadata"]["uid"] == second


@pytest.mark.cluster
def test_what_is_being_removed_is_made_anew_once_it_is_gone(namespace: tuple[Api, str]) -> None:
    """It takes what is applied to it, and goes all the same: as after a removal that was interrupted."""
    api, app = namespace
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "labels": names.labels(app)}}
    held = {**body, "metadata": {**body["metadata"], "finalizers": ["test.example/held"]}}  # type: ignore[dict-item]
    uid = api.create(held, app)["metadata"]["uid"]
    path = f"/api/v1/namespaces/{app}/configmaps/c"
    api._call("DELETE", path, "removing", body={})
    free, merge = {"metadata": {"finalizers": None}}, "application/merge-patch+json"
    Timer(1, lambda: api._call("PATCH", path, "letting go", body=free, media_type=merge)).start()
    payload = {"do": "apply", "app": app, "namespace": app, "objects": [{"object": body, "content": {}}]}
    KubernetesTarget(Settings(), api).apply(Step("files/c", Action.CREATE, "", payload), None, {}, lambda _: None)
    there = api.get("ConfigMap", "c", app)
    assert there is not None
    assert there["metadata"]["uid"] != uid


@pytest.mark.cluster
def test_the_removal_of_what_has_long_been_there_is_watched(namespace: tuple[Api, str]) -> None:
    """What the cluster remembers of changes goes back five minutes; an object's own version may be older."""
    api, _ = namespace
    for kind, name, where in (("Namespace", "default", None), ("ConfigMap", "kube-root-ca.crt", "default")):
        there = api.get(kind, name, where)
        assert there is not None
        with api._watching(kind, name, where, 10, "watching") as events:
            first = next(iter(events))
            assert (first["type"], first["object"]["metadata"]["uid"]) == ("ADDED", there["metadata"]["uid"])


class Counted(Api):
    """One that keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def _call(self, method: str, path: str, *rest: Any, **more: Any) -> Any:
        self.asked.append(path)
        return super()._call(method, path, *rest, **more)


@pytest.mark.cluster
def test_a_further_look_asks_for_nothing_but_what_may_have_changed(namespace: tuple[Api, str]) -> None:
    _, app = namespace
    api = Counted()
    target = KubernetesTarget(Settings(), api)

    def record(revision: int) -> None:
        payload = {"do": "record", "app": app, "namespace": app, "revision": revision, "annotations": {}}
        step = Step(f"record/{revision}", Action.STORE, "", {**payload, "document": f"release {revision}"})
        target.apply(step, None, {}, lambda _: None)

    for revision in (9, 10):
        record(revision)
    found = target.observe(app)
    assert [one.revision for one in found.records] == [9, 10]
    assert found.record is not None
    assert found.record.document == "release 10"

    api.asked.clear()
    again = target.observe(app)
    assert again.record == found.record
    assert again.host == found.host
    within = f"/api/v1/namespaces/{app}"
    kinds = [path.rpartition("/")[2] for path in api.asked if path != within]
    assert sorted({*kinds}) == sorted(kinds), "each once"
    assert not {"version", "nodes", "storageclasses", "ingressclasses", "runtimeclasses", "v1beta1"} & {*kinds}
    assert not any(path.startswith(f"{within}/secrets/") for path in api.asked), "the record is known"

    record(11)
    newest = target.observe(app).record
    assert newest is not None
    assert newest.document == "release 11"


@pytest.mark.cluster
def test_a_set_that_gets_no_pods_for_want_of_quota_says_so(namespace: tuple[Api, str]) -> None:
    """Nothing but an event tells."""
    api, app = namespace
    set_quota(api, app, pods="0")
    labels = names.labels(app, "store")
    annotations = {ownership.RESOURCE: "service/store", ownership.SPEC: "s1"}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "store", "image": "bundle.local/none"}]}}
    spec = {"serviceName": "store", "selector": {"matchLabels": names.selector(app, "store")}, "template": pod}
    metadata = {"name": "store", "labels": labels, "annotations": annotations}
    api.create({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": metadata, "spec": spec}, app)
    target, ends, detail = KubernetesTarget(Settings(), api), time.monotonic() + 60, ""
    while "exceeded quota" not in detail and time.monotonic() < ends:
        time.sleep(0.5)
        (one,) = target.observe(app).of("service/store")
        detail = one.detail
    assert "exceeded quota: small" in detail
