"""One snapshot of an app in a cluster, from one list request for each kind, side by side.

Pods tell how a workload is, their owners how many there shall be. What is in the app's namespace and does not carry our
labels is foreign.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from bundler.errors import TargetError, UsageError
from bundler.model.observed import (
    FORWARDED_DOORS,
    Host,
    Observed,
    OpenDoor,
    Record,
    StoredSecret,
    Thing,
)
from bundler.model.oci import Digest
from targets import ownership
from targets.k8s import claims, edits, names, nodes, pulling
from targets.k8s import cluster as facts
from targets.k8s.api import Api
from targets.k8s.cluster import Settings
from targets.k8s.delivery import PREFIX, Look
from targets.k8s.emptiness import is_of_the_cluster
from targets.k8s.ground import Ground
from targets.k8s.instances import instances, is_ready, lacking
from targets.k8s.names import Json
from targets.k8s.refusals import Forbidden

AT_ONCE = 8  # lists

WHOLE = ("Deployment", "StatefulSet", "Job", "CronJob", "Service", claims.KIND)
NAMED = ("ConfigMap", "Secret", "HorizontalPodAutoscaler", "Ingress")  # metadata is enough


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The lists, as the cluster gives them, by kind."""

    namespace: Json | None
    objects: Mapping[str, list[Json]]
    pods: list[Json]
    records: list[Json]  # metadata only, oldest first
    hidden: str
    look: Look


@dataclass(frozen=True, slots=True)
class Known:
    """What is not asked at each look: what the nodes' containerds say, what the cluster is, records that were read
    before, which never change; `ended`: the namespace was removed here, and the right to look at it may be gone too."""

    look: Look
    ground: Ground
    read: dict[str, Record]
    ended: bool


def observe(api: Api, settings: Settings, app: str, known: Known) -> Observed:
    name = settings.namespace or app
    there = _namespace(api, name, ended=known.ended)
    objects, pods, hidden = _lists(api, name) if there is not None else ({}, [], "")
    found = Snapshot(
        namespace=there,
        objects=objects,
        pods=pods,
        records=_records(objects.get("Secret", ()), app),
        hidden=hidden,
        look=known.look,
    )
    events = _events(api, name, found, app)
    return Observed(
        app=app,
        host=_host(api, found, known.ground, settings, app),
        instances=instances(found.objects, found.pods, events, app),
        things=tuple(sorted(_things(found, app), key=lambda thing: (thing.resource, thing.name))),
        doors=tuple(sorted(_doors(found, app), key=lambda door: door.name)),
        records=tuple(_read(api, name, found.records, known.read)),
        hidden=found.hidden,
    )


def _namespace(api: Api, name: str, *, ended: bool) -> Json | None:
    """Who may not look at it may still work within it; it is not ours then."""
    try:
        return api.get("Namespace", name)
    except Forbidden:
        return None if ended else {"metadata": {"name": name}}


def _lists(api: Api, namespace: str) -> tuple[dict[str, list[Json]], list[Json], str]:
    """Objects by kind, pods, and why there are no Secrets among them where the user may not list those."""

    def listed(kind: str) -> list[Json] | Forbidden:
        try:
            return api.list(kind, namespace, metadata_only=kind in NAMED)
        except Forbidden as error:
            return error

    kinds = (*WHOLE, *NAMED, "Pod")
    found: dict[str, list[Json]] = {}
    hidden = ""
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        for kind, answer in zip(kinds, pool.map(listed, kinds), strict=True):
            if not isinstance(answer, Forbidden):
                found[kind] = answer
            elif kind == "Secret":
                hidden = answer.what
            else:
                raise answer
    return found, found.pop("Pod"), hidden


def _events(api: Api, namespace: str, found: Snapshot, app: str) -> Mapping[str, str]:
    """The last warning about each thing, of a pod also about the claim that it waits for; asked for only where a pod is
    not well, or missing."""
    unwell = [pod for pod in found.pods if names.ours(pod, app) and _is_unwell(pod)]
    if not unwell and not lacking(found.objects, found.pods, app):
        return {}
    warnings: dict[str, tuple[str, str]] = {}
    try:
        events = api.list("Event", namespace, fields="type=Warning")
    except Forbidden:
        return {}
    for event in events:
        about = event.get("involvedObject") or {}
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
    return (pod.get("status") or {}).get("phase") in ("Pending", "Running") and not is_ready(pod)


# things


def _things(found: Snapshot, app: str) -> Iterator[Thing]:
    for kind, objects in found.objects.items():
        for one in objects:
            name = f"{kind}/{one['metadata']['name']}"
            if names.ours(one, app):
                if one["metadata"].get("deletionTimestamp"):
                    continue
                resource = names.annotation(one, ownership.RESOURCE)
                if kind == claims.KIND:  # it may have been made larger by hand
                    yield Thing(resource, name, claims.told(one))
                else:
                    yield Thing(resource, name, names.annotation(one, ownership.SPEC), edits=edits.told(one))
            elif not is_of_the_cluster(kind, one):
                owner = ownership.owner(one["metadata"].get("labels") or {})
                yield Thing(f"{kind.lower()}/{one['metadata']['name']}", name, "", foreign=True, owner=owner)
    for image in found.look.brought:
        mine, shared = app in image.apps, bool(image.apps - {app})
        repository, _, digest = image.reference.removeprefix(PREFIX).partition("@")
        resource = names.in_node(f"image/{repository}@{Digest(digest).short}", image.socket, len(found.look.sockets))
        yield Thing(resource, image.reference, image.socket, foreign=not mine, shared=shared)


def _doors(found: Snapshot, app: str) -> Iterator[OpenDoor]:
    for service in found.objects.get("Service", ()):
        told = names.annotation(service, ownership.DOORS)
        if told and names.ours(service, app):
            for name, (bind, port) in json.loads(told).items():
                yield OpenDoor(name, bind, port, service["metadata"]["labels"].get(names.NODE, ""))


# records and secrets


def _records(secrets: Iterable[Json], app: str) -> list[Json]:
    kept = [one for one in secrets if names.ours(one, app) and one["metadata"]["labels"].get(names.KEPT) == "record"]
    return sorted(kept, key=names.revision)


def _read(api: Api, namespace: str, records: list[Json], read: dict[str, Record]) -> Iterator[Record]:
    """The newest with its document, which is asked for once."""
    yield from (Record(names.revision(one), "") for one in records[:-1])
    for one in records[-1:]:
        version = f"{one['metadata']['uid']} {one['metadata']['resourceVersion']}"
        if version not in read:
            secret = api.get("Secret", one["metadata"]["name"], namespace)
            if secret is None:  # it went with the app
                return
            read[version] = _record(secret)
        yield read[version]


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


# the host


def _host(api: Api, found: Snapshot, ground: Ground, settings: Settings, app: str) -> Host:
    mine = [pod for pod in found.pods if names.ours(pod, app)]
    open_nodes = nodes.taking_pods(list(ground.nodes))
    running = {str(pod["spec"].get("nodeName")) for pod in mine}
    platform = nodes.platform(open_nodes or list(ground.nodes), running)
    features = {*ground.features, *_features(found, app), *nodes.features(open_nodes, platform)}
    if ground.hidden:
        platform, shown = nodes.by_pods(mine)
        features |= shown
    features |= {facts.CONTAINERD + socket for socket in found.look.sockets}
    features |= {facts.UNASKED + found.look.fault} if found.look.fault else set()
    if settings.pull_config is not None:
        features |= _pull_secret(api, found, settings, app, facts.told(features, facts.PULLS_FROM))
    return Host(platform, "kubernetes", ground.version, frozenset(features))


def _features(found: Snapshot, app: str) -> Iterator[str]:
    yield FORWARDED_DOORS
    yield from _of_namespace(found, app)
    yield from _going(found, app)
    for record in found.records[-1:]:
        for key, prefix in ((names.REGISTRY, facts.PULLS_FROM), (names.PULL_SECRET, facts.PULLS_WITH)):
            if told := names.annotation(record, key):
                yield prefix + told


def _going(found: Snapshot, app: str) -> Iterator[str]:
    """Volumes that are being removed, and what holds them: a claim stays as long as a pod with a node names it."""
    going = [one for one in found.objects.get(claims.KIND, ()) if one["metadata"].get("deletionTimestamp")]
    for claim in (one["metadata"]["name"] for one in going if names.ours(one, app)):
        yield facts.GOING + claim
        for pod in found.pods:
            if claims.is_held(claim, pod):
                ended = names.ours(pod, app) and pod["status"].get("phase") in ("Succeeded", "Failed")
                yield f"{facts.ENDED if ended else facts.HOLDS}{claim} {pod['metadata']['name']}"


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
            yield not names.ours(one, app) and not is_of_the_cluster(kind, one)
