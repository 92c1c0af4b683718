"""The Kubernetes target: wires observing, planning and applying together.

Each step's payload says in `do` what it is; `apply` does that one thing and decides nothing else.
"""

from __future__ import annotations

import base64
import copy
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

from bundler.contract import BlobSource, Target
from bundler.edges.forward import Connection
from bundler.errors import TargetError
from bundler.model.finding import Finding
from bundler.model.observed import AppSummary, LogLine, Observed, Record, StoredSecret
from bundler.model.plan import Note, Plan, Step
from bundler.model.release import Release
from targets import ownership, texts
from targets.descriptors import descriptor
from targets.k8s import (
    access,
    apps,
    checking,
    claims,
    delivery,
    emptiness,
    examining,
    files,
    leasing,
    lending,
    logs,
    names,
    observe,
    options,
    planning,
    pulling,
    pushing,
    render,
)
from targets.k8s.api import Api
from targets.k8s.cluster import Settings
from targets.k8s.ground import Ground, ground
from targets.k8s.helper import helper
from targets.k8s.instances import is_ready
from targets.k8s.names import Json
from targets.k8s.refusals import Conflict, Forbidden

Payload = Mapping[str, Any]
Secrets = Mapping[str, StoredSecret]


def create(given: Mapping[str, str]) -> Target:
    """The entry point. Options: `context`, `namespace`, `containerd`, `import`, `registry`, `pull_secret`,
    `pull_secret_from`."""
    return KubernetesTarget(options.settings(given, names.TARGET))


class KubernetesTarget:
    name = names.TARGET

    def __init__(self, settings: Settings, api: Api | None = None) -> None:
        self.settings = settings
        self.api = api if api is not None else Api(settings.context)
        self._distinct: tuple[delivery.Node, ...] | None = None
        self._looks: dict[str, delivery.Look] = {}  # by app, until it is changed here
        self._changes = 0
        self._read: dict[str, Record] = {}
        self._ended: set[str] = set()  # namespaces that were removed here

    def _namespace(self, app: str) -> str:
        return self.settings.namespace or app

    @property
    def _nodes(self) -> tuple[delivery.Node, ...]:
        """Those whose containerd is reached, each once."""
        if self._distinct is None:
            sockets = () if self.settings.registry else self.settings.sockets
            self._distinct = delivery.distinct([delivery.Node(socket) for socket in sockets])
        return self._distinct

    @cached_property
    def _ground(self) -> Ground:
        return ground(self.api)

    # reading

    def render(self, release: Release, blobs: BlobSource) -> Mapping[str, str]:
        return render.files(release, self.settings, blobs)

    def plan(self, release: Release | None, observed: Observed) -> Plan:
        if release is None:
            return planning.plan_removal(self.settings, observed)
        return planning.plan_deploy(self.settings, release, observed)

    def observe(self, app: str) -> Observed:
        try:
            known = observe.Known(self._look(app), self._ground, self._read, self._namespace(app) in self._ended)
            return observe.observe(self.api, self.settings, app, known)
        except Forbidden as error:
            hint = access.grant(frozenset(), access.user(self.api), self._namespace(app))
            raise Forbidden(error.what, hint=hint) from error

    def _look(self, app: str) -> delivery.Look:
        """What the nodes' containerds have is asked once, and again when that was changed here: a deploy looks at its
        app several times a second while it waits. One that does not answer only stops what needs it."""
        changes, look = self._changes, self._looks.get(app)
        if look is None:
            try:
                sockets = tuple(node.socket for node in self._nodes)
                look = delivery.Look(sockets, delivery.brought(self._nodes, self._namespace(app)))
            except TargetError as error:
                look = delivery.Look(fault=f"{error.what}; {error.hint}" if error.hint else error.what)
            if changes == self._changes:
                self._looks[app] = look
        return look

    def check(self, plan: Plan) -> tuple[Note, ...]:
        return checking.check(self.api, plan.steps)

    def examine(self) -> Iterator[Finding]:
        yield from examining.of_cluster(self.api, self._ground)
        yield examining.way_of_images(self.settings, self._nodes)

    def secrets(self, app: str) -> Secrets:
        """None where the user may not read them, which `check` refuses."""
        try:
            return observe.stored_secrets(self.api, self._namespace(app), app)
        except Forbidden:
            return {}

    def lent(self, app: str, places: Mapping[str, str]) -> Mapping[str, bytes]:
        return lending.lent(self.api, self._namespace(app), places)

    def holder(self, app: str) -> str:
        return leasing.holder(self.api.get("Secret", names.lease(app), self._namespace(app)))

    def lease(self, app: str, holder: str, before: str) -> str:
        namespace, name = self._namespace(app), names.lease(app)
        there = self.api.get("Secret", name, namespace)
        if there is not None:
            self._own(there, app)
        if leasing.holder(there) != before:
            return leasing.holder(there)
        self._ended.discard(namespace)
        body = self._kept_body(app, name, names.LEASE, names.LEASE, "1", names.LEASE_TYPE)
        return leasing.lease(self.api, namespace, there, body, holder)

    def logs(
        self, app: str, service: str | None, *, follow: bool, since: str | None, tail: int | None
    ) -> Iterator[LogLine]:
        namespace = self._namespace(app)
        labels = {ownership.APP: app, ownership.TARGET: names.TARGET} | ({names.NODE: service} if service else {})
        found = self.api.list("Pod", namespace, labels=labels)
        if service is not None and not found:
            raise TargetError(f"{app} has no pod of {service} in namespace {namespace}")
        members: list[logs.Member] = []
        for pod in sorted(found, key=lambda one: (one["metadata"]["creationTimestamp"], one["metadata"]["name"])):
            node = pod["metadata"]["labels"][names.NODE]
            if logs.has_begun(pod):
                index = sum(member.node == node for member in members)
                members.append(logs.Member(pod["metadata"]["name"], node, index))
        return logs.lines(self.api, namespace, members, follow=follow, since=since, tail=tail)

    def dial(self, app: str, service: str, port: int) -> Connection:
        """Of a pod that is ready, the newest."""
        namespace = self._namespace(app)
        labels = names.selector(app, service)
        ready = [
            pod
            for pod in self.api.list("Pod", namespace, labels=labels)
            if not pod["metadata"].get("deletionTimestamp") and is_ready(pod)
        ]
        if not ready:
            raise TargetError(
                f"no pod of {service} is ready", hint=f"bundle status {app} --target {self.name} says how they are"
            )
        newest = max(ready, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
        return self.api.dial(namespace, newest["metadata"]["name"], port)

    def apps(self) -> tuple[AppSummary, ...]:
        return apps.apps(self.api, self.settings.namespace)

    # writing

    def apply(self, step: Step, blobs: BlobSource | None, secrets: Secrets, progress: Callable[[int], None]) -> None:
        payload: Payload = step.payload
        namespace = payload["namespace"]
        try:
            self._do(step, namespace, blobs, secrets, progress)
        finally:
            if payload["do"] in ("import", "unload"):
                self._changes += 1
                self._looks.clear()

    def _do(
        self,
        step: Step,
        namespace: str,
        blobs: BlobSource | None,
        secrets: Secrets,
        progress: Callable[[int], None],
    ) -> None:
        payload: Payload = step.payload
        match payload["do"]:
            case "namespace":
                self._make_namespace(payload)
            case "import" | "push":
                self._load(step, blobs, progress)
            case "unload":
                delivery.unload(delivery.Node(payload["socket"]), payload)
            case "apply" | "run":
                for displaced in payload.get("gone", ()):
                    self._remove(displaced, namespace, payload["app"], data=False)
                if payload["do"] == "run":
                    self._run(payload, blobs, secrets)
                else:
                    for one in payload["objects"]:
                        self._put(one, namespace, payload["app"], blobs, secrets)
            case "start":
                self.api.scale(payload["kind"], namespace, payload["name"], payload["replicas"])
            case "secrets":
                self._store_secrets(payload, secrets)
            case "record":
                self._record(payload)
            case "remove":
                for named in payload["objects"]:
                    self._remove(named, namespace, payload["app"])
            case "remove-namespace":
                self._remove_namespace(payload)
            case unknown:
                raise TargetError(f"step {step.id!r} has an unknown payload {unknown!r}")

    def _own(self, found: Json, app: str) -> None:
        """Raises TargetError for an object that is not ours: it is neither taken over nor removed."""
        if not names.ours(found, app):
            what = f"{found.get('kind', 'object')} {found['metadata']['name']}"
            raise TargetError(f"{what} does not belong to app {app} of target {self.name}; left alone")

    def _make_namespace(self, payload: Payload) -> None:
        there = self.api.get("Namespace", payload["namespace"])
        if there is not None:
            self._own(there, payload["app"])
        self.api.apply(payload["object"], uid=_uid(there))
        self._ended.discard(payload["namespace"])

    def _load(self, step: Step, blobs: BlobSource | None, progress: Callable[[int], None]) -> None:
        payload: Payload = step.payload
        source = delivery.HelperBlobs(helper(*payload["helper"])) if payload["helper"] else blobs
        if source is None:
            raise TargetError(f"{step.resource} is in the bundle, and no bundle was given")
        if payload["do"] == "push":
            pushing.push(payload, source, progress)
            return
        delivery.load(delivery.Node(payload["socket"]), payload, source, progress)

    # objects

    def _put(self, wanted: Payload, namespace: str, app: str, blobs: BlobSource | None, secrets: Secrets) -> None:
        body = self._filled(wanted, blobs, secrets)
        there = self.api.get(body["kind"], body["metadata"]["name"], namespace)
        if there is not None:
            self._own(there, app)
            if there["metadata"].get("deletionTimestamp"):  # it takes what is written, and goes all the same
                self.api.delete(body["kind"], body["metadata"]["name"], namespace, uid=_uid(there))
                there = None
        applied = self.api.apply(body, namespace, uid=_uid(there))
        replicas = wanted.get("replicas")
        if replicas is not None and applied["spec"].get("replicas") != replicas:
            self.api.scale(body["kind"], namespace, body["metadata"]["name"], replicas)

    def _filled(self, wanted: Payload, blobs: BlobSource | None, secrets: Secrets) -> Json:
        """The object with its data."""
        body: Json = copy.deepcopy(wanted["object"])
        for key, content in sorted(wanted["content"].items()):
            if "registry" in content:
                if self.settings.pull_config is None:
                    raise TargetError(f"{body['metadata']['name']} has no content", hint=f"{pulling.OPTION} FILE")
                data = pulling.document(self.settings.pull_config, content["registry"])
            elif "blob" in content:
                if blobs is None:
                    raise TargetError(f"{body['metadata']['name']} is in the bundle, and no bundle was given")
                data = blobs.read(descriptor(content["blob"]))
            elif content.get("variable"):
                data = texts.reveal_text(content["text"], secrets).encode()
            else:
                data = texts.reveal(content["text"], secrets)
            files.store(body, key, data)
        return body

    def _run(self, payload: Payload, blobs: BlobSource | None, secrets: Secrets) -> None:
        """Starts a job. One that runs already is left to it; one that has ended is made anew."""
        namespace, app = payload["namespace"], payload["app"]
        *around, job = payload["objects"]
        for one in around:
            self._put(one, namespace, app, blobs, secrets)
        body = job["object"]
        there = self.api.get("Job", body["metadata"]["name"], namespace)
        if there is not None:
            self._own(there, app)
            ended = any(
                one["type"] in ("Complete", "Failed") and one["status"] == "True"
                for one in (there.get("status") or {}).get("conditions") or ()
            )
            same = names.annotation(there, ownership.SPEC) == body["metadata"]["annotations"][ownership.SPEC]
            if same and not ended:
                return
            self.api.delete("Job", body["metadata"]["name"], namespace, uid=_uid(there))
        self.api.create(body, namespace)

    # what is kept

    def _store_secrets(self, payload: Payload, secrets: Secrets) -> None:
        """All that the target keeps, in one object: the new ones beside those that are there."""
        namespace, app = payload["namespace"], payload["app"]
        name = names.secrets(app)
        there = self.api.get("Secret", name, namespace)
        if there is not None:
            self._own(there, app)
        for missing in (one for one in payload["names"] if one not in secrets):
            raise TargetError(f"secret {missing} has no value yet")
        found = observe.stored_secrets(self.api, namespace, app)
        for one in payload["names"]:
            if one in found and found[one].revision not in (secrets[one].revision, payload["before"].get(one)):
                raise _overtaken(app, f"secret {one}")
        kept = {**found, **{one: secrets[one] for one in payload["names"]}}
        revisions = {one: kept[one].revision for one in sorted(kept)}
        body = self._kept_body(app, name, "secrets", "secrets", "1", names.SECRETS_TYPE)
        try:
            read = there or self.api.create(copy.deepcopy(body), namespace)
            body["metadata"]["annotations"][names.REVISIONS] = ownership.canonical(revisions)
            body["metadata"]["resourceVersion"] = read["metadata"]["resourceVersion"]  # nobody has written since
            body["data"] = {one: base64.b64encode(kept[one].value).decode() for one in sorted(kept)}
            self.api.apply(body, namespace)
        except Conflict as error:
            raise _overtaken(app, "secrets") from error

    def _record(self, payload: Payload) -> None:
        namespace, app, revision = payload["namespace"], payload["app"], payload["revision"]
        name = names.record(app, revision)
        body = self._kept_body(app, name, f"record/{revision}", "record", str(revision), names.RECORD_TYPE)
        body["metadata"]["annotations"] |= payload["annotations"]
        body["data"] = {"release": base64.b64encode(planning.packed(payload["document"])).decode()}
        try:
            self.api.create(body, namespace)
        except Conflict as error:
            there = self.api.get("Secret", name, namespace) or body
            self._own(there, app)
            if there["data"] != body["data"]:
                raise _overtaken(app, f"record/{revision}") from error

    @staticmethod
    def _kept_body(app: str, name: str, resource: str, kept: str, spec: str, kind: str) -> Json:
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": kind,
            "metadata": {
                "name": name,
                "labels": names.labels(app) | {names.KEPT: kept},
                "annotations": {ownership.RESOURCE: resource, ownership.SPEC: spec},
            },
        }

    # removal

    def _remove(self, named: str, namespace: str, app: str, *, data: bool = True) -> None:
        """Without `data`, a volume only where somebody removes it already: it may be a new one by now."""
        kind, _, name = named.partition("/")
        there = self.api.get(kind, name, namespace)
        kept = kind == claims.KIND and not data
        if there is not None and (not kept or there["metadata"].get("deletionTimestamp")):
            self._own({"kind": kind, **there}, app)
            self.api.delete(kind, name, namespace, uid=_uid(there))

    def _remove_namespace(self, payload: Payload) -> None:
        """Only an empty one: whatever somebody else has put there keeps it."""
        namespace = payload["namespace"]
        there = self.api.get("Namespace", namespace)
        if there is None:
            return
        self._own(there, payload["app"])
        emptiness.check(namespace, payload["app"], self.api.in_namespace(namespace))
        self.api.delete("Namespace", namespace, uid=_uid(there))
        self._ended.add(namespace)


def _overtaken(app: str, what: str) -> TargetError:
    return TargetError(
        f"another deploy of {app} has written {what} meanwhile",
        hint="wait until it has ended, then run the same command again",
    )


def _uid(found: Json | None) -> str | None:
    return None if found is None else str(found["metadata"]["uid"])
