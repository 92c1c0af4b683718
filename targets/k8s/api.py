"""A cluster's API as this target uses it: one method, one request.

Address, certificates and tokens are those of `kubeconfig`; requests are written out here, because objects are plain
data and the models of the `kubernetes` package know one version's fields only. Every error is a TargetError.
https://kubernetes.io/docs/reference/using-api/
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from bundler.errors import TargetError
from targets.k8s import kubeconfig, watch
from targets.k8s.names import MANAGER, Json
from targets.k8s.refusals import (
    MESSAGE_LIMIT,
    Conflict,
    Forbidden,
    NotThere,
    Silent,
    no_cluster,
    refusal,
    replaced,
    unreachable,
)

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

    from bundler.edges.forward import Connection

TIMEOUT_S = 30.0  # a request may wait for others, such as admission webhooks
FIRST_S = 10.0  # whoever answers at all answers the first request sooner
GONE_S = 90  # beyond the grace period of what is deleted
AGAIN_S = 1.0  # until something is watched again
BUSY_TRIES = 10  # of a request that the server turns away unread, each when it says (API Priority and Fairness)

# kind -> (path of its group, plural, whether it is in a namespace)
KINDS: Mapping[str, tuple[str, str, bool]] = {
    "Namespace": ("/api/v1", "namespaces", False),
    "Node": ("/api/v1", "nodes", False),
    "Pod": ("/api/v1", "pods", True),
    "Service": ("/api/v1", "services", True),
    "ConfigMap": ("/api/v1", "configmaps", True),
    "Secret": ("/api/v1", "secrets", True),
    "ResourceQuota": ("/api/v1", "resourcequotas", True),
    "Event": ("/api/v1", "events", True),
    "PersistentVolumeClaim": ("/api/v1", "persistentvolumeclaims", True),
    "Deployment": ("/apis/apps/v1", "deployments", True),
    "StatefulSet": ("/apis/apps/v1", "statefulsets", True),
    "Job": ("/apis/batch/v1", "jobs", True),
    "CronJob": ("/apis/batch/v1", "cronjobs", True),
    "HorizontalPodAutoscaler": ("/apis/autoscaling/v2", "horizontalpodautoscalers", True),
    "Ingress": ("/apis/networking.k8s.io/v1", "ingresses", True),
    "NetworkPolicy": ("/apis/networking.k8s.io/v1", "networkpolicies", True),
    "IngressClass": ("/apis/networking.k8s.io/v1", "ingressclasses", False),
    "StorageClass": ("/apis/storage.k8s.io/v1", "storageclasses", False),
    "RuntimeClass": ("/apis/node.k8s.io/v1", "runtimeclasses", False),
    "SelfSubjectReview": ("/apis/authentication.k8s.io/v1", "selfsubjectreviews", False),
    "SelfSubjectRulesReview": ("/apis/authorization.k8s.io/v1", "selfsubjectrulesreviews", False),
    "SelfSubjectAccessReview": ("/apis/authorization.k8s.io/v1", "selfsubjectaccessreviews", False),
}
_METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_DRY_RUN: Mapping[bool, dict[str, str]] = {True: {"dryRun": "All"}, False: {}}
_FOREGROUND = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Foreground"}
_BACKGROUND = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}


@dataclass(frozen=True, slots=True)
class Content:
    """What is in a namespace: kind and metadata of each object; `hidden` are the kinds that the user may not see."""

    objects: tuple[tuple[str, Json], ...]
    hidden: tuple[str, ...]


class Api:
    """One cluster. Safe to use from several threads; the connection is made at the first request."""

    def __init__(self, context: str | None = None, file: Path | None = None, own: Path | None = None) -> None:
        """`file` None: KUBECONFIG, ~/.kube/config, or a pod's own account; `own` is where the cluster would have
        written one."""
        self._context, self._file, self._own = context, file, own

    @cached_property
    def _client(self) -> Any:
        """The package's client: what is used of it is its configuration and its pool of connections."""
        return kubeconfig.client(self._context, self._file, self._own)

    @property
    def address(self) -> str:
        return str(self._client.configuration.host)

    # requests

    @contextmanager
    def _errors(self, doing: str) -> Iterator[None]:
        from urllib3.exceptions import HTTPError

        try:
            yield
        except (HTTPError, OSError) as error:
            raise unreachable(error, doing, self.address) from error

    def _call(
        self,
        method: str,
        path: str,
        doing: str,
        *,
        query: Mapping[str, object] | None = None,
        body: object = None,
        media_type: str = "application/json",
        accept: str = "application/json",
        timeout_s: float = TIMEOUT_S,
        stream: bool = False,
    ) -> BaseHTTPResponse:
        from urllib3 import Retry

        configuration = self._client.configuration
        headers = {"Accept": accept, "User-Agent": MANAGER}
        for setting in configuration.auth_settings().values():
            if setting["value"]:
                headers[setting["key"]] = setting["value"]
        if body is not None:
            headers["Content-Type"] = media_type
        asked = f"?{urlencode(query)}" if query else ""
        busy = Retry(
            BUSY_TRIES,
            connect=0,
            read=0,
            redirect=False,
            other=0,
            allowed_methods=None,
            status_forcelist={429},
            backoff_factor=0.2,
            raise_on_status=False,
        )
        with self._errors(doing):
            answer: BaseHTTPResponse = self._client.rest_client.pool_manager.request(
                method,
                f"{configuration.host}{path}{asked}",
                body=None if body is None else json.dumps(body).encode(),
                headers=headers,
                timeout=timeout_s,
                preload_content=not stream,
                retries=busy,
            )
        if answer.status >= 400:
            with self._errors(doing):
                raise refusal(answer.status, answer.data, doing, path)
        return answer

    def _json(self, answer: BaseHTTPResponse) -> Json:
        try:
            found = json.loads(answer.data)
        except ValueError as error:
            raise no_cluster(self.address) from error
        if not isinstance(found, dict):
            raise no_cluster(self.address)
        return found

    # reading

    @cached_property
    def version(self) -> tuple[int, int]:
        """Also whether there is a cluster at all."""
        try:
            answer = self._call("GET", "/version", "asking the cluster for its version", timeout_s=FIRST_S)
            found = self._json(answer)
            return int(found["major"]), int("".join(c for c in found["minor"] if c.isdigit()))
        except (NotThere, KeyError, ValueError) as error:
            raise no_cluster(self.address) from error

    def serves(self, group_version: str) -> bool:
        """Whether the cluster has an API group, such as `metrics.k8s.io/v1beta1`. Raises Silent where it has, and
        whoever serves it does not answer now."""
        try:
            self._call("GET", f"/apis/{group_version}", f"looking for {group_version}")
        except (NotThere, Forbidden):
            return False
        return True

    def get(self, kind: str, name: str, namespace: str | None = None) -> Json | None:
        try:
            return self._json(self._call("GET", _path(kind, namespace, name), f"looking for {_lower(kind)} {name}"))
        except NotThere:
            return None

    def list(
        self,
        kind: str,
        namespace: str | None = None,
        *,
        labels: Mapping[str, str] | None = None,
        fields: str | None = None,
        metadata_only: bool = False,
    ) -> list[Json]:
        """All of a kind, in one namespace or everywhere. An API group that is not there has none."""
        query = {"labelSelector": ",".join(f"{key}={value}" for key, value in labels.items())} if labels else {}
        query |= {"fieldSelector": fields} if fields else {}
        accept = _METADATA_ONLY if metadata_only else "application/json"
        try:
            answer = self._call("GET", _path(kind, namespace), f"listing {_plural(kind)}", query=query, accept=accept)
        except NotThere:
            return []
        found: list[Json] = self._json(answer)["items"] or []
        return found

    def ask(self, kind: str, spec: Json) -> Json:
        """The answer to a review, which asks about the user and leaves nothing behind."""
        group, plural, _ = KINDS[kind]
        body = {"apiVersion": group.removeprefix("/apis/"), "kind": kind, "spec": spec}
        found: Json = self._json(self._call("POST", _path(kind), f"asking for {plural}", body=body))["status"]
        return found

    def in_namespace(self, namespace: str) -> Content:
        """Every object in a namespace, of whatever kinds the cluster has."""
        objects: list[tuple[str, Json]] = []
        hidden: list[str] = []
        for group, resource in self._discovered():
            kind = resource["responseKind"]["kind"]
            path = f"{group}/namespaces/{quote(namespace)}/{resource['resource']}"
            try:
                answer = self._call("GET", path, f"listing {resource['resource']}", accept=_METADATA_ONLY)
            except NotThere:
                continue
            except (Forbidden, Silent):
                hidden.append(kind)
                continue
            objects += ((kind, item) for item in self._json(answer)["items"] or ())
        return Content(tuple(objects), tuple(hidden))

    def _discovered(self) -> Iterator[tuple[str, Json]]:
        form = "application/json;g=apidiscovery.k8s.io;v={};as=APIGroupDiscoveryList"
        accept = ",".join(form.format(version) for version in ("v2", "v2beta1"))  # the same; until Kubernetes 1.30
        for root in ("/api", "/apis"):
            for group in self._json(self._call("GET", root, "listing kinds", accept=accept))["items"]:
                yield from listed(group)

    def logs(
        self, namespace: str, pod: str, container: str, *, follow: bool, since: str | None, tail: int | None
    ) -> Iterator[bytes]:
        """Lines, each with its time before it, in pieces as they come."""
        query: dict[str, object] = {"container": container, "timestamps": "true"}
        query |= {"follow": "true"} if follow else {}
        query |= {"tailLines": tail} if tail is not None else {}
        query |= {"sinceTime": since} if since else {}
        doing = f"reading the log of {pod}"
        path = f"{_path('Pod', namespace, pod)}/log"
        answer = self._call(
            "GET", path, doing, query=query, accept="*/*", stream=True, timeout_s=86400.0 if follow else TIMEOUT_S
        )
        with self._errors(doing):
            try:
                yield from answer.stream(1 << 16)
            finally:
                answer.release_conn()

    def dial(self, namespace: str, pod: str, port: int) -> Connection:
        """A connection to a port of a pod, through the cluster's API."""
        from kubernetes.client import ApiException
        from kubernetes.stream.ws_client import portforward_call

        configuration = self._client.configuration
        headers = {one["key"]: one["value"] for one in configuration.auth_settings().values() if one["value"]}
        url = f"{configuration.host}{_path('Pod', namespace, pod)}/portforward"
        with self._errors(f"reaching port {port} of {pod}"):
            try:
                forward = portforward_call(  # type: ignore[no-untyped-call]
                    configuration, "GET", url, headers=headers, query_params=[("ports", str(port))]
                )
            except ApiException as error:
                reason = " ".join(str(error.reason).split())[:MESSAGE_LIMIT]
                raise TargetError(f"reaching port {port} of {pod}: {reason}") from error
            connection: Connection = forward.socket(port)
        return connection

    # writing

    def apply(self, body: Json, namespace: str | None = None, *, uid: str | None = None, dry_run: bool = False) -> Json:
        """Server-side apply with our field manager. A field that somebody else manages is not taken from them. With
        `uid` to no other than the object that has it. `dry_run`: as it would be, without effect."""
        kind, name = body["kind"], body["metadata"]["name"]
        if uid is not None:
            body = {**body, "metadata": {**body["metadata"], "uid": uid}}
        try:
            answer = self._call(
                "PATCH",
                _path(kind, namespace, name),
                f"applying {_lower(kind)} {name}",
                query={"fieldManager": MANAGER, "force": "false"} | _DRY_RUN[dry_run],
                body=body,
                media_type="application/apply-patch+yaml",
            )
        except Conflict as error:
            if uid is None or "uid" not in error.what.lower():
                raise
            raise replaced(kind, name) from error
        return self._json(answer)

    def create(self, body: Json, namespace: str, *, dry_run: bool = False) -> Json:
        kind, name = body["kind"], body["metadata"]["name"]
        query = {"fieldManager": MANAGER} | _DRY_RUN[dry_run]
        path = _path(kind, namespace)
        return self._json(self._call("POST", path, f"creating {_lower(kind)} {name}", query=query, body=body))

    def scale(self, kind: str, namespace: str, name: str, replicas: int) -> None:
        """The number of replicas alone, as `kubectl scale` sets it."""
        self._call(
            "PATCH",
            f"{_path(kind, namespace, name)}/scale",
            f"scaling {_lower(kind)} {name}",
            query={"fieldManager": MANAGER},
            body={"spec": {"replicas": replicas}},
            media_type="application/merge-patch+json",
        )

    def delete(self, kind: str, name: str, namespace: str | None = None, *, uid: str | None = None) -> None:
        """Removes an object and what depends on it, and returns when all of it is gone. With `uid` no other than that.
        The watch begins before the removal, which may take the right to watch along."""
        doing = f"removing {_lower(kind)} {name}"
        there = self.get(kind, name, namespace)
        if there is None:
            return
        uid = uid or there["metadata"]["uid"]
        limit_s = watch.grace_s(there) + GONE_S
        ends_at = time.monotonic() + limit_s
        with self._watching(kind, name, namespace, limit_s, doing) as events:
            options = _BACKGROUND if kind == "Namespace" else _FOREGROUND
            try:
                self._call(
                    "DELETE", _path(kind, namespace, name), doing, body={**options, "preconditions": {"uid": uid}}
                )
            except NotThere:
                return
            except Conflict as error:
                raise replaced(kind, name) from error
            gone = watch.is_gone(events, uid)
        while not gone and self._has(kind, name, namespace, uid):  # whatever is between may end a watch early
            left_s = math.ceil(ends_at - time.monotonic())
            if left_s <= 0:
                shown = f"kubectl describe {KINDS[kind][1]} {name}" + (f" -n {namespace}" if namespace else "")
                raise TargetError(
                    f"{_lower(kind)} {name} is still being removed after {limit_s} s",
                    hint=f"{shown} shows what holds it; then run the command again",
                )
            time.sleep(AGAIN_S)
            with self._watching(kind, name, namespace, left_s, doing) as events:
                gone = watch.is_gone(events, uid)

    def _has(self, kind: str, name: str, namespace: str | None, uid: str) -> bool:
        there = self.get(kind, name, namespace)
        return there is not None and there["metadata"]["uid"] == uid

    @contextmanager
    def _watching(
        self, kind: str, name: str, namespace: str | None, limit_s: int, doing: str
    ) -> Iterator[Iterator[Json]]:
        """An object as it is and what happens to it from now on, in one request that the server ends when the time is
        up, or anybody earlier. It names no version: what was read may be older than what the cluster remembers."""
        query: dict[str, object] = {"timeoutSeconds": limit_s}
        path = _path(kind, namespace)
        if kind == "Namespace":  # a right within the namespace is enough for this path, and not for the other
            path = f"/api/v1/watch/namespaces/{quote(name)}"
        else:
            query |= {"watch": "true", "fieldSelector": f"metadata.name={name}"}
        answer = self._call("GET", path, doing, query=query, stream=True, timeout_s=limit_s + TIMEOUT_S)
        with self._errors(doing):
            try:
                yield watch.events(answer)
            finally:
                answer.close()


def listed(group: Json) -> Iterator[tuple[str, Json]]:
    """(path of the version, resource) of what can be listed in a namespace, out of a group as discovery shows it: each
    from the first version that has it, as not every version has everything. Pure."""
    name = group["metadata"].get("name")
    seen: set[str] = set()
    for version in group["versions"]:
        path = f"/apis/{name}/{version['version']}" if name else f"/api/{version['version']}"
        for resource in version.get("resources", ()):
            listable = resource["scope"] == "Namespaced" and "list" in resource["verbs"]
            if listable and resource["resource"] not in seen:
                seen.add(resource["resource"])
                yield path, resource


def _path(kind: str, namespace: str | None = None, name: str | None = None) -> str:
    group, plural, namespaced = KINDS[kind]
    within = f"/namespaces/{quote(namespace)}" if namespaced and namespace is not None else ""
    return f"{group}{within}/{plural}" + (f"/{quote(name)}" if name is not None else "")


def _lower(kind: str) -> str:
    return KINDS[kind][1].removesuffix("s") if kind != "Ingress" else "ingress"


def _plural(kind: str) -> str:
    return KINDS[kind][1]
