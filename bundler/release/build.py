"""Puts a Release together: workloads with every text resolved, jobs that are due, the record."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import msgspec

from bundler.contract import BlobSource
from bundler.errors import TargetError, TrustError, UsageError
from bundler.graphfile import placeholders
from bundler.model.bundle import Bundle, VerifiedBundle
from bundler.model.graph import Condition, Graph, Healthcheck, Job, Service, Workers, Workload
from bundler.model.observed import Observed, StoredSecret
from bundler.model.release import (
    FileMount,
    Need,
    Release,
    ReleaseDoor,
    ReleaseEdge,
    ReleaseJob,
    ReleaseService,
    SecretPart,
    Text,
    has_secret,
)
from bundler.model.site import Site
from bundler.release.doors import choose_doors
from bundler.release.record import read_record, write_record
from bundler.release.secrets import check_texts, names, new_revision, settle_secrets, with_origins
from bundler.release.texts import Scope, expand
from bundler.release.values import check_externals, settle_values

TEMPLATE_LIMIT_BYTES = 4 << 20
W = TypeVar("W", ReleaseService, ReleaseJob)
_STRICTER = {Condition.STARTED: 0, Condition.HEALTHY: 1, Condition.COMPLETED: 2}


@dataclass(frozen=True, slots=True)
class Inputs:
    """`given` are the bytes of secrets that the site supplies, `stored` those that the target keeps;
    `revision` names the bytes of a new or changed secret, `target` where they are kept."""

    app: str
    verified: VerifiedBundle
    blobs: BlobSource
    site: Site
    observed: Observed
    given: Mapping[str, bytes]
    stored: Mapping[str, StoredSecret]
    revision: Callable[[], str] = new_revision
    target: str = ""


@dataclass(frozen=True, slots=True)
class Released:
    """The release, and the bytes of all its secrets by name."""

    release: Release
    secrets: Mapping[str, StoredSecret]


def release(inputs: Inputs) -> Released:
    """Decide everything a target needs to know.

    Raises UsageError for a value, secret or external field that the site must give and did not, or that is of no use
    where it goes, and TargetError where the bundle has no image for the target's platform.
    """
    bundle = inputs.verified.bundle
    graph = bundle.graph
    _check_platform(bundle, inputs.observed)
    before = read_record(inputs.observed.record) if inputs.observed.record else None
    kept_data = before is not None and not _lost_data(before.release, inputs.observed)
    ledger = dict(before.ledger) if before and kept_data else {}

    values = settle_values(graph, inputs.site)
    doors = choose_doors(graph, inputs.site, inputs.observed, before.release.doors if before else ())
    used = {secret.name for secret in before.release.secrets} if before and kept_data else ()
    secrets, kept = settle_secrets(graph, inputs.given, inputs.stored, inputs.revision, inputs.app, inputs.target, used)
    secrets = with_origins(secrets, graph, inputs.site, inputs.given, kept, before.release if before else None)
    check_externals(graph, inputs.site, kept)
    scope = Scope(graph, inputs.site, values, {door.name: door for door in doors}, frozenset(kept))

    revisions = {secret.name: secret.revision for secret in secrets}
    made = _Workloads(bundle, scope, doors, inputs.blobs)
    services = tuple(made.service(service) for service in graph.services)
    undecided = [made.job(job) for job in graph.jobs]
    digests = {job.name: _digest(job, bundle, revisions) for job in undecided}
    jobs = tuple(replace(job, due=_is_due(job, ledger.get(job.name), digests[job.name])) for job in undecided)
    ledger |= {job.name: digests[job.name] for job in jobs if job.due}

    skipped = {job.name for job in jobs if not job.due}
    result = Release(
        app=inputs.app,
        bundle=graph.name,
        version=graph.version,
        root=bundle.root.digest,
        images=bundle.images,
        models=bundle.models,
        services=tuple(_without(service, skipped) for service in services),
        jobs=tuple(_without(job, skipped) for job in jobs),
        volumes=graph.volumes,
        secrets=secrets,
        doors=doors,
        waves=tuple(wave for wave in (tuple(n for n in wave if n not in skipped) for wave in graph.waves) if wave),
        record="",
        recorded=False,
        storage=tuple(
            sorted((name, str(words["class"])) for name, words in inputs.site.storage.items() if "class" in words)
        ),
        placement=tuple(sorted((name, tuple(sorted(words.items()))) for name, words in inputs.site.placement.items())),
        shared=tuple(sorted(name for name, words in inputs.site.storage.items() if words.get("shared"))),
        variant=bundle.variant,
        edges=_edges(graph),
        values=tuple(sorted(values.items())),
    )
    check_texts(result, kept)
    record = write_record(result, ledger)
    recorded = inputs.observed.record is not None and inputs.observed.record.document == record
    return Released(replace(result, record=record, recorded=recorded), kept)


def _lost_data(before: Release, observed: Observed) -> bool:
    """Whether all volumes of the recorded release are gone: what install jobs once did is gone with them."""
    there = {thing.resource for thing in observed.things if not thing.foreign}
    return bool(before.volumes) and not any(f"volume/{volume.name}" in there for volume in before.volumes)


def _check_platform(bundle: Bundle, observed: Observed) -> None:
    wanted = observed.host.platform
    for image in bundle.images:
        has = [one.platform for one in image.platforms]
        if not any((p.os, p.architecture) == (wanted.os, wanted.architecture) for p in has):
            raise TargetError(
                f"the bundle has no {wanted} image of {image.name}; it has {', '.join(map(str, has))}",
                hint=f"build it with --platform {wanted}",
            )


def _is_due(job: ReleaseJob, ran: str | None, digest: str) -> bool:
    """`ran` is the digest of what the ledger says has run."""
    return {"install": ran is None, "upgrade": ran != digest}.get(job.run, False)


def _digest(job: ReleaseJob, bundle: Bundle, revisions: Mapping[str, str]) -> str:
    """What the job would run: all of its definition, the content of its image and weights, and its secrets' revisions;
    not whether it is due."""
    used = sorted(names(job))
    mounted = {mount.name for mount in job.models}
    told = {field.name: getattr(job, field.name) for field in fields(job) if field.name not in ("due", "needs")} | {
        "revisions": {name: revisions.get(name, "") for name in used},
        "images": [str(image.descriptor.digest) for image in bundle.images if image.name == job.image],
        "weights": [str(model.image.digest) for model in bundle.models if model.name in mounted],
    }
    return hashlib.sha256(msgspec.json.encode(told, enc_hook=dict, order="sorted")).hexdigest()


def _without(workload: W, names: set[str]) -> W:
    return replace(workload, needs=tuple(need for need in workload.needs if need.node not in names))


class _Workloads:
    """Turns the graph's workloads into the release's."""

    def __init__(self, bundle: Bundle, scope: Scope, doors: tuple[ReleaseDoor, ...], blobs: BlobSource) -> None:
        self._bundle = bundle
        self._graph = bundle.graph
        self._scope = scope
        self._doors = doors
        self._blobs = blobs
        self._images = dict(bundle.images_of)
        self._users = dict(bundle.users)
        self._configs = {config.name: config for config in bundle.configs}
        self._templates = {
            config.name for config in bundle.graph.configs if config.template or config.content is not None
        }

    def service(self, service: Service) -> ReleaseService:
        scale = service.scale
        return ReleaseService(
            **self._common(service),
            ports=tuple((endpoint.name, endpoint.port) for endpoint in service.expose),
            healthcheck=self._health(service, service.healthcheck),
            liveness=self._health(service, service.liveness),
            min_instances=scale.min if scale else 1,
            max_instances=scale.max if scale else 1,
            scale_cpu=scale.cpu if scale else None,
            doors=tuple(door for door in self._doors if door.node == service.name),
        )

    def job(self, job: Job) -> ReleaseJob:
        least, most = self._workers(job, job.workers) if job.workers else (1, 1)
        return ReleaseJob(
            **self._common(job),
            run=job.run,
            due=False,
            min_workers=least,
            max_workers=most,
            retries=job.retries,
            timeout_s=job.timeout_s,
            ranked=job.workers is not None,
        )

    def _common(self, node: Workload) -> dict[str, Any]:
        if node.name not in self._images:
            raise TrustError(f"the bundle names no image for {node.name}")
        return {
            "name": node.name,
            "image": self._images[node.name],
            "entrypoint": self._arguments(node, node.entrypoint),
            "command": self._arguments(node, node.command),
            "working_dir": node.working_dir,
            "environment": tuple((name, self._text(node, text)) for name, text in node.environment),
            "files": self._files(node),
            "volumes": node.volumes,
            "models": node.models,
            "tmpfs": node.tmpfs,
            "user": self._users.get(node.name),
            "read_only": node.read_only,
            "resources": node.resources,
            "init": node.init,
            "cap_add": node.cap_add,
            "stop_signal": node.stop_signal,
            "stop_grace_period_s": node.stop_grace_period_s,
            "needs": _needs(self._graph, node),
        }

    def _text(self, node: Workload, text: str) -> Text:
        return expand(placeholders.parse(text), self._scope, node)

    def _arguments(self, node: Workload, texts: tuple[str, ...] | None) -> tuple[Text, ...] | None:
        return None if texts is None else tuple(self._text(node, text) for text in texts)

    def _plain(self, node: Workload, text: str, what: str) -> str:
        expanded = self._text(node, text)
        if has_secret(expanded):
            raise UsageError(f"{what} of {node.name} holds a secret; it would be visible to everyone who can list it")
        return "".join(part for part in expanded if isinstance(part, str))

    def _health(self, node: Service, check: Healthcheck | None) -> Healthcheck | None:
        if check is None or check.test is None:
            return check
        return replace(check, test=tuple(self._plain(node, text, "healthcheck.test") for text in check.test))

    def _workers(self, job: Job, workers: Workers) -> tuple[int, int]:
        counts = [self._plain(job, text, "workers") for text in (workers.min, workers.max)]
        if not all(count.isdecimal() and int(count) >= 1 for count in counts):
            raise UsageError(f"workers of {job.name} must be whole numbers of 1 or more, not {' and '.join(counts)}")
        least, most = (int(count) for count in counts)
        if least > most:
            raise UsageError(f"workers of {job.name}: min {least} is more than max {most}")
        return least, most

    def _files(self, node: Workload) -> tuple[FileMount, ...]:
        mounts: list[FileMount] = []
        for mount in node.configs:
            if mount.name not in self._configs:
                raise TrustError(f"the bundle does not hold config {mount.name}")
            config = self._configs[mount.name]
            for file in config.files:
                path = f"{mount.path}/{file.path}" if file.path else mount.path
                if config.name not in self._templates:
                    mounts.append(FileMount(path, file.blob, secret=False))
                    continue
                text = self._text(node, self._blobs.read(file.blob).decode())
                mounts.append(FileMount(path, text, secret=has_secret(text)))
        mounts += [FileMount(mount.path, (SecretPart(mount.name),), secret=True) for mount in node.secrets]
        return tuple(sorted(mounts, key=lambda one: one.path))


def _edges(graph: Graph) -> tuple[ReleaseEdge, ...]:
    """Every connection and dependency, in the order of their consumers."""
    types = {external.name: external.type for external in graph.externals}
    edges: list[ReleaseEdge] = []
    for node in (*graph.services, *graph.jobs):
        for one in node.connect:
            external = types.get(one.node, "")
            edges.append(ReleaseEdge(node.name, one.node, one.slot, waits=one.wait and not external, external=external))
        edges += [ReleaseEdge(node.name, one.node, condition=one.condition) for one in node.depends_on]
    return tuple(edges)


def _needs(graph: Graph, node: Workload) -> tuple[Need, ...]:
    """Every node that must be ready first, each with the strictest condition asked for."""
    services = {service.name: service for service in graph.services}
    needs: dict[str, Condition] = {}
    for connection in node.connect:
        if connection.wait and connection.node in services:
            checked = services[connection.node].healthcheck is not None
            needs[connection.node] = Condition.HEALTHY if checked else Condition.STARTED
    for dependency in node.depends_on:
        known = needs.get(dependency.node, dependency.condition)
        needs[dependency.node] = max(known, dependency.condition, key=_STRICTER.__getitem__)
    return tuple(Need(name, condition) for name, condition in sorted(needs.items()))
