"""Requests to a cluster that is busy, is restarted, or says no: what no cluster of ours does when it is asked to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

from bundler.errors import TargetError
from targets.k8s.api import Api
from targets.k8s.refusals import Forbidden, refusal
from targets.k8s.watch import grace_s

Json = dict[str, Any]
Answer = tuple[int, list[Json]]  # the status, and what is told, one after the other

WEB: Json = {"kind": "Deployment", "apiVersion": "apps/v1", "metadata": {"name": "web", "uid": "u"}}
BUSY: Answer = (429, [{"message": "too many requests, please try again later"}])


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Callable[[Callable[[str, str, str], Answer]], Api]]:
    """A cluster that answers each method, path and accepted type as a function says."""
    running = []

    def start(answers: Callable[[str, str, str], Answer]) -> Api:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, told = answers(self.command, self.path, self.headers["Accept"])
                self.send_response(status)
                self.end_headers()
                self.wfile.write(b"".join(json.dumps(one).encode() + b"\n" for one in told))

            def log_message(self, format: str, *args: object) -> None:
                return

        for method in ("PATCH", "POST", "DELETE"):
            setattr(Handler, f"do_{method}", Handler.do_GET)
        httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=httpd.serve_forever, daemon=True).start()
        running.append(httpd)
        one = {"name": "one", "cluster": {"server": f"http://127.0.0.1:{httpd.server_address[1]}"}}
        context = {"name": "one", "context": {"cluster": "one", "user": "one"}}
        config = {"clusters": [one], "contexts": [context], "users": [{"name": "one", "user": {"token": "t"}}]}
        file = tmp_path / "kubeconfig"
        file.write_text(yaml.safe_dump({**config, "current-context": "one"}))
        return Api(None, file)

    yield start
    for httpd in running:
        httpd.shutdown()
        httpd.server_close()


def test_what_a_busy_cluster_turns_away_is_asked_again(served: Callable[..., Api]) -> None:
    asked: list[str] = []

    def answers(method: str, *_: str) -> Answer:
        asked.append(method)
        return BUSY if len(asked) < 3 else (200, [WEB])

    assert served(answers).apply(WEB, "shop") == WEB
    assert asked == ["PATCH"] * 3


def test_a_cluster_that_stays_busy_says_so(served: Callable[..., Api], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("targets.k8s.api.BUSY_TRIES", 2)
    with pytest.raises(TargetError, match="listing pods: the cluster has too much to do: too many requests"):
        served(lambda *_: BUSY).list("Pod", "shop")


def test_a_removal_whose_watch_is_cut_off_is_watched_again(served: Callable[..., Api]) -> None:
    """As by a load balancer before the API, or by one of several servers that is restarted."""
    watched: list[str] = []
    ended = {"type": "ERROR", "object": {"kind": "Status", "code": 410}}
    gone = {"type": "DELETED", "object": WEB}

    def answers(method: str, path: str, *_: str) -> Answer:
        if "watch=true" not in path:
            return 200, [WEB]
        watched.append(path)
        return 200, [[], [ended], [gone]][len(watched) - 1]

    served(answers).delete("Deployment", "web", "shop")
    assert len(watched) == 3


def test_what_is_in_a_namespace_is_found_on_older_clusters_too(served: Callable[..., Api]) -> None:
    """Before Kubernetes 1.30 discovery has no v2."""
    pods = {"resource": "pods", "scope": "Namespaced", "verbs": ["list"], "responseKind": {"kind": "Pod"}}
    core = {"metadata": {}, "versions": [{"version": "v1", "resources": [pods]}]}

    def answers(_: str, path: str, accept: str) -> Answer:
        if path in ("/api", "/apis"):
            group = {"items": [core] if path == "/api" else []}
            return 200, [group if "v=v2beta1;" in accept else {"kind": "APIVersions", "versions": ["v1"]}]
        return 200, [{"items": [WEB]}]

    assert served(answers).in_namespace("shop").objects == (("Pod", WEB),)


def test_a_cron_job_is_given_the_time_that_its_pods_take_to_end() -> None:
    pods = {"template": {"spec": {"terminationGracePeriodSeconds": 300}}}
    assert grace_s({"spec": pods}) == grace_s({"spec": {"jobTemplate": {"spec": pods}}}) == 300
    assert grace_s({"metadata": {}}) == 0


@pytest.mark.parametrize(
    ("message", "lacks_right"),
    [
        ('pods is forbidden: User "me" cannot list resource "pods" in API group "" in the namespace "shop"', True),
        ('forbidden: User "system:anonymous" cannot get path "/apis/metrics.k8s.io"', True),
        ('pods "web" is forbidden: exceeded quota: small, requested: pods=1, used: pods=3, limited: pods=3', False),
        ('pods "web" is forbidden: maximum memory usage per Container is 1Gi, but limit is 2Gi', False),
        ('pods "web" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true', False),
        ('admission webhook "policy.example" denied the request: [team] a label is missing', False),
    ],
)
def test_who_lacks_a_right_is_told_apart_from_what_admission_refuses(message: str, lacks_right: bool) -> None:
    told = json.dumps({"reason": "Forbidden", "code": 403, "message": message}).encode()
    found = refusal(403, told, "applying deployment web", "")
    assert isinstance(found, Forbidden) is lacks_right
    assert message in found.what
    assert bool(found.hint) is lacks_right


@pytest.mark.parametrize(
    ("path", "command"),
    [
        ("/apis/apps/v1/namespaces/shop/deployments/web", "kubectl delete deployments web --namespace shop"),
        ("/api/v1/namespaces/shop", "have them let go of these fields"),
        ("/api/v1/namespaces/shop/persistentvolumeclaims/data", "have them let go of these fields"),
        ("/api/v1/namespaces/shop/secrets/shop-secrets", "have them let go of these fields"),
    ],
)
def test_an_object_that_others_manage_is_told_with_the_command_that_deletes_it_unless_data_goes_too(
    path: str, command: str
) -> None:
    causes = [{"reason": "FieldManagerConflict", "field": ".spec.replicas", "message": 'conflict with "somebody"'}]
    told = json.dumps({"reason": "Conflict", "code": 409, "details": {"causes": causes}}).encode()
    found = refusal(409, told, "applying deployment web", path)
    assert "others manage fields of it: .spec.replicas" in found.what
    assert str(found.hint).startswith(command)


@pytest.mark.parametrize("name", ["pods/web", "pods"])
def test_what_clashes_is_somebodys_edit_where_the_object_is_there(name: str) -> None:
    causes = [{"reason": "FieldValueDuplicate", "field": "spec.ports[1].name", "message": "Duplicate value"}]
    told = json.dumps({"reason": "Invalid", "code": 422, "details": {"causes": causes}}).encode()
    hint = refusal(422, told, "applying pod web", f"/api/v1/namespaces/shop/{name}").hint
    assert ("kubectl delete pods web --namespace shop" in (hint or "")) is ("/" in name)
    assert (hint is None) is ("/" not in name)
