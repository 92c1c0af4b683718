"""What somebody else has set in an object of ours, as its managed fields tell."""

from __future__ import annotations

import json
from typing import Any

import pytest

from targets.k8s import edits

BODY = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "labels": {"a": "b"}},
    "spec": {
        "containers": [
            {"name": "web", "image": "x", "args": ["a"], "ports": [{"containerPort": 80}]},
            {"name": "other", "image": "y"},
        ],
        "modes": ["one", "two"],
    },
}
WEB = 'k:{"name":"web"}'
PORT = 'k:{"containerPort":80,"protocol":"TCP"}'
OURS = {
    "f:metadata": {"f:labels": {"f:a": {}}},
    "f:spec": {"f:containers": {WEB: {".": {}, "f:name": {}, "f:args": {}}}},
}


def entry(manager: str, fields: dict[str, Any], **more: str) -> dict[str, Any]:
    return {"manager": manager, "operation": "Update", "fieldsV1": fields, **more}


def found(*theirs: dict[str, Any]) -> list[str]:
    managed = [entry("graphbundle", OURS), *theirs]
    return edits.of(BODY, edits.told({"metadata": {"managedFields": managed}}))


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"f:spec": {"f:containers": {WEB: {"f:image": {}}}}}, ["spec.containers[web].image (kubectl-edit)"]),
        (
            {"f:spec": {"f:containers": {WEB: {"f:ports": {PORT: {"f:containerPort": {}}}}}}},
            ["spec.containers[web].ports[80/TCP].containerPort (kubectl-edit)"],
        ),
        ({"f:spec": {"f:modes": {'v:"two"': {}}}}, ["spec.modes[two] (kubectl-edit)"]),
        ({"f:spec": {"f:containers": {WEB: {"f:args": {}}}}}, []),  # the same as ours
        ({"f:spec": {"f:containers": {'k:{"name":"sidecar"}': {"f:image": {}}}}}, []),
        ({"f:spec": {"f:replicas": {}}, "f:metadata": {"f:labels": {"f:team": {}}}}, []),
        ({"f:spec": {"f:containers": {WEB: {".": {}}}}}, []),
    ],
)
def test_an_edit_is_what_another_set_of_what_we_set(fields: dict[str, Any], named: list[str]) -> None:
    assert found(entry("kubectl-edit", fields)) == named


def test_what_has_a_way_of_its_own_is_no_edit() -> None:
    image = {"f:spec": {"f:containers": {WEB: {"f:image": {}}}}}
    assert found(entry("scaler", image, subresource="scale")) == []
    assert found(entry("b", image), entry("a", image)) == [
        "spec.containers[web].image (a)",
        "spec.containers[web].image (b)",
    ]


def test_an_object_that_we_never_applied_tells_nothing() -> None:
    image = {"f:spec": {"f:containers": {WEB: {"f:image": {}}}}}
    assert edits.told({"metadata": {"managedFields": [entry("kubectl", image)]}}) == ""
    assert edits.told({"metadata": {}}) == ""
    assert json.loads(edits.told({"metadata": {"managedFields": [entry("graphbundle", OURS), entry("x", image)]}}))
