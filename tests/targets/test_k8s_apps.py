"""Which apps a cluster has: the pure part."""

from __future__ import annotations

from typing import Any

from targets import ownership
from targets.k8s import names
from targets.k8s.apps import summaries

Json = dict[str, Any]


def pod(app: str, namespace: str, phase: str = "Running") -> Json:
    return {"metadata": {"namespace": namespace, "labels": names.labels(app, "web")}, "status": {"phase": phase}}


def record(app: str, namespace: str, revision: int, version: str) -> Json:
    annotations = {ownership.RESOURCE: f"record/{revision}", ownership.BUNDLE: "shop", ownership.VERSION: version}
    return {"metadata": {"namespace": namespace, "labels": names.labels(app), "annotations": annotations}}


def test_apps_of_one_name_in_two_namespaces_are_two() -> None:
    records = [record("shop", "prod", 10, "2.0"), record("shop", "prod", 9, "1.0"), record("shop", "test", 1, "3.0")]
    pods = [pod("shop", "prod"), pod("shop", "prod", "Pending"), pod("shop", "test"), pod("other", "test")]
    found = [(one.namespace, one.app, one.version, one.instances) for one in summaries(records, pods)]
    assert found == [("prod", "shop", "2.0", 1), ("test", "other", "", 1), ("test", "shop", "3.0", 1)]
