"""One snapshot of an app in a cluster, from one list request for each kind.

Pods tell how a workload is, their owners how many there shall be. What is in the app's namespace and does not carry our
labels is foreign.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from bundler.errors import TargetError, UsageError
from bundler.model.observed import (
    FORWARDED_DOORS,
    AppSummary,
    Host,
    Observed,
    OpenDoor,
    Record,
    StoredSecret,
    Thing,
)
from bundler.model.oci import Digest
from targets import ownership
from targets.k8s import claims, names, nodes, pulling
from targets.k8s import cluster as facts
from targets.k8s.api import Api
from targets.k8s.cluster import Settings
from targets.k8s.delivery import PREFIX, Brought
from targets.k8s.instances import instances
from targets.k8s.names import Json
from targets.k8s.refusals import Forbidden, Silent

WHOLE = ("Deployment", "StatefulSet", "Job", "CronJob", "Service", claims.KIND)
NAMED = ("ConfigMap", "Secret", "HorizontalPodAutoscaler", "Ingress")  # metadata is enough
IMAGE_VOLUMES_SINCE = (1, 35)  # without a feature gate
CONTAINERD_SINCE = (2, 1)  # mounts images
SLEEP_SINCE = (1, 30)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The lists, as the cluster gives them, by kind."""

    namespace: Json | None
    objects: Mapping[str, list[Json]]
    pods: list[Json]
    nodes: list[Json]
    records: list[Json]
    sockets: tuple[str, ...]
    brought: tuple[Brought, ...]
    hidden: str


def observe(
    api: Api, settings: Settings, app: str, sockets: tuple[str, ...] = (), brought: tuple[Brought, ...] = ()
) -> Observed:
    """`brought` is what the containerds at `sockets` have, each of which is another one."""
    name = settings.namespace or app
    api.version  # noqa: B018 - the first request tells whether there is a cluster
    there = _namespace(api, name)
    objects, hidden = _objects(api, name) if there is not None else ({}, "")
    found = Snapshot(
        namespace=there,
        objects=objects,
        pods=api.list("Pod", name) if there is not None else [],
        nodes=_nodes(api),
        records=_records(api, name, app) if there is not None and not hidden else [],
        sockets=sockets,
        brought=brought,
        hidden=hidden,
    )
    events = _events(api, name, found, app)
    return Observed(
        app=app,
        host=_host(api, found, settings, app),
        instances=instances(found.objects, found.pods, events, app),
        things=tuple(sorted(_things(found, app), key=lambda thing: (thing.resource, thing.name))),
        doors=tuple(sorted(_doors(found, app), key=lambda door: door.name)),
        records=tuple(sorted((_record(one) for one in found.records), key=lambda record: record.revision)),
        hidden=found.hidden,
    )


def _namespace(api: Api, name: str) -> Json | None:
    """Who may not look at it may still work within it; it is not ours then."""
    try:
        return api.get("Namespace", name)
    except Forbidden:
        return {"metadata": {"name": name}}


def _objects(api: Api, namespace: str) -> tuple[dict[str, list[Json]], str]:
    """By kind, and why there are no Secrets among them where the user may not list those."""
    found = {kind: api.list(kind, namespace) for kind in WHOLE}
    hidden = ""
    for kind in NAMED:
        try:
            found[kind] = api.list(kind, namespace, metadata_only=True)
        except Forbidden as error:
            if kind != "Secret":
                raise
            hidden = error.what
    return found, hidden


def _nodes(api: Api) -> list[Json]:
    """None where the user may not list them: one namespace is then all there is to see."""
    try:
        return api.list("Node")
    except Forbidden:
        return []


def _events(api: Api, namespace: str, found: Snapshot, app: str) -> Mapping[str, str]:
    """The last warning about each pod, or the claim that it waits for; asked for only where a pod is not well."""
    unwell = [pod for pod in found.pods if names.ours(pod, app) and _is_unwell(pod)]
    if not unwell:
        return {}
    warnings: dict[str, tuple[str, str]] = {}
    try:
        events = api.list("Event", namespace)
    except Forbidden:
        return {}
    for event in events:
        about = event.get("involvedObject") or {}
        if event.get("type") == "Warning":
            when = str(event.get("lastTimestamp") or event.get("eventTime") or "")
            told = (when, " ".join(str(event.get("message", "")).split()))
            for key in (about.get("uid", ""), f"{about.get('kind')}/{about.get('name')}"):
                warnings[key] = max(warnings.get(key, ("", "")), told)
    for pod in unwell:
        for volume in pod["spec"].get("volumes") or ():
            claim = f"PersistentVolumeClaim/{(volume.get('persistentVolumeClaim') or {}).get('claimName')}"
            if claim in warnings and not pod["spec"].get("nodeName"):
                warnings.setdefault(pod["metadata"]["uid"], warnings[claim])
    return {uid: text for uid, (_, text) in warnings.items()}


def _is_unwell(pod: Json) -> bool:
    status = pod.get("status") or {}
    statuses = status.get("containerStatuses") or [{}]
    return status.get("phase") in ("Pending", "Running") and not all(one.get("ready") for one in statuses)


# things


def _things(found: Snapshot, app: str) -> Iterator[Thing]:
    for kind, objects in found.objects.items():
        for one in objects:
            name = f"{kind}/{one['metadata']['name']}"
            if names.ours(one, app):
                if one["metadata"].get("deletionTimestamp"):
                    continue
                spec = claims.told(one) if kind == claims.KIND else names.annotation(one, ownership.SPEC)
                yield Thing(names.annotation(one, ownership.RESOURCE), name, spec)
            elif not _of_the_cluster(kind, one):
                owner = ownership.owner(one["metadata"].get("labels") or {})
                yield Thing(f"{kind.lower()}/{one['metadata']['name']}", name, "", foreign=True, owner=owner)
    for image in found.brought:
        mine, shared = app in image.apps, bool(image.apps - {app})
        repository, _, digest = image.reference.removeprefix(PREFIX).partition("@")
        resource = names.in_node(f"image/{repository}@{Digest(digest).short}", image.socket, len(found.sockets))
        yield Thing(resource, image.reference, image.socket, foreign=not mine, shared=shared)


def _of_the_cluster(kind: str, found: Json) -> bool:
    """What every namespace has, and what a controller made of something else."""
    return bool(found["metadata"].get("ownerReferences")) or (
        kind == "ConfigMap" and found["metadata"]["name"] == "kube-root-ca.crt"
    )


def _doors(found: Snapshot, app: str) -> Iterator[OpenDoor]:
    for service in found.objects.get("Service", ()):
        told = names.annotation(service, ownership.DOORS)
        if told and names.ours(service, app):
            for name, (bind, port) in json.loads(told).items():
                yield OpenDoor(name, bind, port, service["metadata"]["labels"].get(names.NODE, ""))


# records and secrets


def _records(api: Api, namespace: str | None, app: str | None) -> list[Json]:
    labels = {ownership.TARGET: names.TARGET, names.KEPT: "record"}
    return api.list("Secret", namespace, labels=labels | ({ownership.APP: app} if app is not None else {}))


def _record(secret: Json) -> Record:
    revision = names.annotation(secret, ownership.RESOURCE).partition("/")[2]
    try:
        document = gzip.decompress(base64.b64decode(secret["data"]["release"])).decode()
        return Record(int(revision), document)
    except (KeyError, ValueError, OSError, EOFError) as error:
        raise TargetError(
            f"secret {secret['metadata']['name']} is no release record: {error}",
            hint="it was changed by something else; remove it, and deploy the bundle again",
        ) from error


def stored_secrets(api: Api, namespace: str, app: str) -> dict[str, StoredSecret]:
    found = api.get("Secret", names.secrets(app), namespace)
    if found is None or not names.ours(found, app):
        return {}
    revisions = json.loads(names.annotation(found, names.REVISIONS) or "{}")
    data = found.get("data") or {}
    return {
        name: StoredSecret(revision, base64.b64decode(data[name]))
        for name, revision in revisions.items()
        if name in data
    }


def apps(api: Api, namespace: str | None) -> tuple[AppSummary, ...]:
    """Every app that has a pod or a record, in all namespaces, or in one where the user may not look further; of those
    whose records nobody shows, the pods."""
    labels = {ownership.TARGET: names.TARGET}
    try:
        records, pods = _records(api, None, None), api.list("Pod", labels=labels)
    except Forbidden as error:
        if namespace is None:
            raise Forbidden(error.what, hint="--namespace NAME looks into one where you may") from error
        pods = api.list("Pod", namespace, labels=labels)
        try:
            records = _records(api, namespace, None)
        except Forbidden:
            if not pods:
                raise
            records = []
    running: dict[str, int] = {}
    for pod in pods:
        app = pod["metadata"]["labels"][ownership.APP]
        up = (pod.get("status") or {}).get("phase") == "Running" and not pod["metadata"].get("deletionTimestamp")
        running[app] = running.get(app, 0) + up
    newest: dict[str, tuple[int, Json]] = {}
    for record in records:
        app = record["metadata"]["labels"][ownership.APP]
        revision = _record(record).revision
        newest[app] = max(newest.get(app, (-1, {})), (revision, record), key=lambda pair: pair[0])
    return tuple(_summary(app, newest.get(app), running.get(app, 0)) for app in sorted({*running, *newest}))


def _summary(app: str, newest: tuple[int, Json] | None, count: int) -> AppSummary:
    if newest is None:
        return AppSummary(app, "", "", None, count)
    record = newest[1]
    root = names.annotation(record, ownership.ROOT)
    return AppSummary(
        app,
        names.annotation(record, ownership.BUNDLE),
        names.annotation(record, ownership.VERSION),
        Digest(root) if root else None,
        count,
    )


# the host


def _host(api: Api, found: Snapshot, settings: Settings, app: str) -> Host:
    open_nodes = nodes.taking_pods(found.nodes)
    running = {str((pod.get("spec") or {}).get("nodeName")) for pod in found.pods if names.ours(pod, app)}
    platform = nodes.platform(open_nodes or found.nodes, running)
    major, minor = api.version
    features = {*_features(api, found, app), *nodes.features(open_nodes, platform)}
    features |= {facts.CONTAINERD + socket for socket in found.sockets}
    if settings.pull_config is not None:
        features |= _pull_secret(api, found, settings, app, facts.told(features, facts.PULLS_FROM))
    return Host(platform, "kubernetes", f"{major}.{minor}", frozenset(features))


def _features(api: Api, found: Snapshot, app: str) -> Iterator[str]:
    yield FORWARDED_DOORS
    if image_volumes(api.version, found.nodes):
        yield facts.IMAGE_VOLUMES
    if api.version >= SLEEP_SINCE:
        yield facts.SLEEP
    yield from _metrics(api)
    yield from _classes(api)
    yield from _of_namespace(found, app)
    for record in sorted(found.records, key=lambda one: _record(one).revision)[-1:]:
        for key, prefix in ((names.REGISTRY, facts.PULLS_FROM), (names.PULL_SECRET, facts.PULLS_WITH)):
            if told := names.annotation(record, key):
                yield prefix + told


def image_volumes(version: tuple[int, int], nodes: Iterable[Json]) -> bool:
    """Whether every pod can have them: a kubelet may be older than the API server, and a containerd older than both.
    Other runtimes had them before Kubernetes did."""
    for node in nodes:
        info = node["status"]["nodeInfo"]
        runtime, _, runs = info.get("containerRuntimeVersion", "").partition("://")
        if _release(info.get("kubeletVersion", ""), IMAGE_VOLUMES_SINCE) < IMAGE_VOLUMES_SINCE:
            return False
        if runtime == "containerd" and _release(runs, CONTAINERD_SINCE) < CONTAINERD_SINCE:
            return False
    return version >= IMAGE_VOLUMES_SINCE


def _release(text: str, unknown: tuple[int, int]) -> tuple[int, int]:
    found = re.match(r"v?(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else unknown


def _pull_secret(api: Api, found: Snapshot, settings: Settings, app: str, recorded: str | None) -> set[str]:
    """Whether the app's own has what the person who deploys gives. Raises UsageError where that is of no use."""
    registry = settings.registry or (None if settings.imports else recorded)
    if settings.pull_config is None or registry is None:
        raise UsageError(f"{pulling.OPTION}: there is no registry to pull from", hint="--registry HOST/PATH")
    wanted = pulling.document(settings.pull_config, registry)
    name = names.pull_secret(app)
    there = api.get("Secret", name, settings.namespace or app) if found.namespace is not None else None
    if there is None or not names.ours(there, app):
        return set()
    same = base64.b64decode((there.get("data") or {}).get(pulling.KEY, "")) == wanted
    return {facts.CREDENTIALS_SAME} if same else set()


def _metrics(api: Api) -> Iterator[str]:
    """A metrics server that is down for a moment is one: else a deploy would take the number of instances from the
    autoscaler."""
    try:
        if api.serves("metrics.k8s.io/v1beta1"):
            yield facts.METRICS
    except Silent:
        yield from (facts.METRICS, facts.SILENT_METRICS)


def _classes(api: Api) -> Iterator[str]:
    """Kinds without a namespace, which not every user may see."""
    try:
        storage = api.list("StorageClass")
    except Forbidden:
        yield facts.STORAGE
    else:
        yield from (facts.STORES + one["metadata"]["name"] for one in storage)
        yield from (facts.GROWS + one["metadata"]["name"] for one in storage if one.get("allowVolumeExpansion"))
        if any(names.annotation(one, "storageclass.kubernetes.io/is-default-class") == "true" for one in storage):
            yield facts.STORAGE
    try:
        ingress = api.list("IngressClass")
    except Forbidden:
        yield facts.HIDDEN_INGRESS
    else:
        yield from (facts.SERVES + one["metadata"]["name"] for one in ingress)
        if any(names.annotation(one, "ingressclass.kubernetes.io/is-default-class") == "true" for one in ingress):
            yield facts.INGRESS
    try:
        if any(one["metadata"]["name"] == "nvidia" for one in api.list("RuntimeClass")):
            yield facts.NVIDIA_CLASS
    except Forbidden:
        return


def _of_namespace(found: Snapshot, app: str) -> Iterator[str]:
    namespace = found.namespace
    if namespace is None:
        return
    yield facts.NAMESPACE
    labels = namespace["metadata"].get("labels") or {}
    if names.ours(namespace, app):
        yield facts.OWN_NAMESPACE
    if names.ENFORCE in labels:
        yield facts.ENFORCES + labels[names.ENFORCE]
    if namespace["metadata"].get("deletionTimestamp"):
        yield facts.ENDING
    if any(_foreign(found.objects, app)):
        yield facts.FOREIGN


def _foreign(objects: Mapping[str, list[Json]], app: str) -> Iterable[bool]:
    for kind, found in objects.items():
        for one in found:
            yield not names.ours(one, app) and not _of_the_cluster(kind, one)
