"""What the cluster's API is asked, and asked not to do to another object than was looked at."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from clusters import settings

from bundler.errors import TargetError
from bundler.model.plan import Action, Step
from targets.k8s import names
from targets.k8s.api import Api, listed
from targets.k8s.cluster import Settings
from targets.k8s.target import KubernetesTarget, comes_along

Json = dict[str, Any]


def resource(name: str, *verbs: str, scope: str = "Namespaced") -> Json:
    return {"resource": name, "scope": scope, "verbs": list(verbs), "responseKind": {"kind": name.title()}}


def test_a_kind_is_listed_from_the_first_version_that_has_it() -> None:
    new = {"version": "v1", "resources": [resource("gateways", "get", "list"), resource("classes", scope="Cluster")]}
    old = {"version": "v1beta1", "resources": [resource("gateways", "list"), resource("grants", "list")]}
    old["resources"].append(resource("reviews", "create"))
    group = {"metadata": {"name": "net.example"}, "versions": [new, old, {"version": "v1alpha1"}]}
    assert [(path, one["resource"]) for path, one in listed(group)] == [
        ("/apis/net.example/v1", "gateways"),
        ("/apis/net.example/v1beta1", "grants"),
    ]


def test_rights_within_a_namespace_do_not_keep_it() -> None:
    found = {"metadata": {"name": "bundle-edit"}}
    assert comes_along("RoleBinding", found)
    assert not comes_along("ConfigMap", found)


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
