"""A release as the objects of a cluster, each with the digest of what it was made from. Pure.

The digest covers what the release says, not what the cluster adds or a version of it needs: no default of the server
and no upgrade of the cluster restarts anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from bundler.model.graph import Volume
from bundler.model.observed import Host
from bundler.model.release import Release, ReleaseDoor, ReleaseJob, ReleaseService, Workload
from targets import ownership
from targets.k8s import claims, containers, names, pods, pulling, security, seeds
from targets.k8s import cluster as facts
from targets.k8s import files as filing
from targets.k8s.cluster import Cluster, Level
from targets.k8s.names import Json
from targets.k8s.seeds import Seed
from targets.parts import digests, parts_of
from targets.ranks import MASTER_PORT

HISTORY = 2  # how many former ReplicaSets or revisions are kept
OWNERS = ("Deployment", "StatefulSet")  # of a service's pods
AUTOSCALER = "HorizontalPodAutoscaler"
SCALE = "scale"  # the part of a service that is its owner's alone: another number restarts no pod
WORKLOADS = (*OWNERS, "Job", "CronJob")


@dataclass(frozen=True, slots=True)
class Object:
    """`body` is the object as it is applied, but for the data of `content`, by key. `parts` says what the object was
    made from in pieces, for workloads. `replicas` is set beside it; None where an autoscaler does."""

    resource: str
    body: Json
    spec: str
    content: Mapping[str, filing.Content] = field(default_factory=dict)
    parts: Mapping[str, str] = field(default_factory=dict)
    replicas: int | None = None

    @property
    def kind(self) -> str:
        return str(self.body["kind"])

    @property
    def name(self) -> str:
        return str(self.body["metadata"]["name"])

    @property
    def id(self) -> str:
        return f"{self.kind}/{self.name}"


@dataclass(frozen=True, slots=True)
class Made:
    """All objects of one workload: what it reads (`files`), what names it and runs it (`around`, then `main`)."""

    workload: Workload
    files: tuple[Object, ...]
    around: tuple[Object, ...]
    main: Object
    level: Level

    @property
    def running(self) -> tuple[Object, ...]:
        return (*self.around, self.main)


def namespace(app: str, name: str, level: Level | None) -> Json:
    enforced = {} if level is None else {names.ENFORCE: str(level)}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": names.labels(app) | enforced},
    }


def volumes(release: Release, cluster: Cluster) -> tuple[Object, ...]:
    return tuple(_claim(release, volume, cluster) for volume in release.volumes)


def pull_secret(release: Release, cluster: Cluster) -> tuple[Object, ...]:
    """The app's own, where its pods pull with that: its name stays, so that other credentials restart nothing."""
    name = names.pull_secret(release.app)
    if cluster.registry is None or cluster.pull_secret != name:
        return ()
    body: Json = {"apiVersion": "v1", "kind": "Secret", "type": pulling.TYPE, "metadata": {"name": name}}
    content = {pulling.KEY: {"registry": cluster.registry}}
    return (Object("pull-secret", _own(release, "pull-secret", None, body, "1"), "1", content),)


def workloads(release: Release, host: Host, cluster: Cluster) -> tuple[Made, ...]:
    seeded = seeds.seeds(release, cluster)
    return tuple(
        _workload(release, workload, parts_of(release, workload, host.platform), seeded, cluster)
        for workload in release.workloads
    )


def _own(
    release: Release, resource: str, node: str | None, body: Json, spec: str, extra: Mapping[str, str] | None = None
) -> Json:
    metadata = body["metadata"]
    annotations = {ownership.RESOURCE: resource, ownership.SPEC: spec, **(extra or {})}
    return {
        **body,
        "metadata": {
            **metadata,
            "labels": names.labels(release.app, node) | metadata.get("labels", {}),
            "annotations": annotations | metadata.get("annotations", {}),
        },
    }


def _plain(
    release: Release, resource: str, node: str | None, body: Json, extra: Mapping[str, str] | None = None
) -> Object:
    """An object whose digest is that of its own text."""
    spec = "sha256:" + ownership.digest([body, dict(extra or {})])
    return Object(resource, _own(release, resource, node, body, spec, extra), spec)


# volumes and files


def _claim(release: Release, volume: Volume, cluster: Cluster) -> Object:
    resource = f"volume/{volume.name}"
    claim = claims.settled(release, volume, cluster.claims, cluster.growing)
    body = claims.manifest(volume.name, claim)
    return Object(resource, _own(release, resource, None, body, claim.spec), claim.spec)


def _files(release: Release, workload: Workload, filed: filing.Files) -> tuple[Object, ...]:
    resource = f"files/{workload.name}"
    return tuple(
        Object(
            resource,
            _own(release, resource, workload.name, filing.manifest(bundle), bundle.name),
            bundle.name,
            bundle.content,
        )
        for bundle in filed.bundles
    )


# workloads


def _workload(
    release: Release, workload: Workload, said: Mapping[str, object], seeded: Mapping[str, Seed], cluster: Cluster
) -> Made:
    filed = filing.files(release, workload)
    labels, pod = pods.template(release, workload, filed, seeded, cluster)
    parts = _parts(workload, said, seeded, cluster, release.placed(workload))
    spec = "sha256:" + ownership.digest(parts)
    marks = {
        ownership.RESOURCE: workload.resource,
        ownership.SPEC: "sha256:" + ownership.digest({name: part for name, part in parts.items() if name != SCALE}),
        ownership.IMAGE: release.image(workload.image).reference,
    }
    template = {
        "metadata": {"labels": names.labels(release.app, workload.name) | labels, "annotations": marks},
        "spec": pod,
    }
    if isinstance(workload, ReleaseService):
        body = _deployment(release, workload, template)
        around = tuple(_around_service(release, workload, cluster))
    else:
        body = _job(workload, template, cluster)
        around = tuple(_around_job(release, workload))
    extra = {ownership.PARTS: ownership.canonical(dict(parts))}
    return Made(
        workload=workload,
        files=_files(release, workload, filed),
        around=around,
        main=Object(
            workload.resource,
            _own(release, workload.resource, workload.name, body, spec, extra),
            spec,
            parts=parts,
            replicas=_replicas(workload, cluster),
        ),
        level=security.level(workload, (seed.user for seed in seeds.mounted(workload, seeded))),
    )


def _parts(
    workload: Workload,
    said: Mapping[str, object],
    seeded: Mapping[str, Seed],
    cluster: Cluster,
    placement: Mapping[str, str],
) -> dict[str, str]:
    """All that makes the workload what it is, in the pieces a person would name. Front doors are a Service's."""
    parts = {name: value for name, value in said.items() if name != "front door"}
    more: dict[str, object] = {
        "registry": [cluster.registry, cluster.pull_secret],
        "placement": dict(placement),
        "volume content": [
            [seed.volume, seed.image, seed.path, seed.user, seed.shared and not seed.anywhere]
            for seed in seeds.mounted(workload, seeded)
        ],
    }
    if isinstance(workload, ReleaseService):
        more["ports"] = sorted({port for _, port in workload.ports})
        more[SCALE] = workload.min_instances
        more["liveness"] = repr(workload.liveness)
    else:
        more["run"] = [workload.run if is_cron(workload) else "", workload.timeout_s]
    return digests(parts | more)


def scales(service: ReleaseService, cluster: Cluster) -> bool:
    """Whether an autoscaler owns the number of replicas."""
    return (
        service.max_instances > service.min_instances
        and service.scale_cpu is not None
        and service.resources.cpus is not None
        and facts.METRICS in cluster.features
    )


def _replicas(workload: Workload, cluster: Cluster) -> int | None:
    return workload.min_instances if isinstance(workload, ReleaseService) and not scales(workload, cluster) else None


def _deployment(release: Release, service: ReleaseService, template: Json) -> Json:
    """A StatefulSet where two instances may not write the same data side by side during an upgrade. The number of
    replicas is no part of it: a field that is applied once and then left to an autoscaler would fall back to 1."""
    spec: Json = {
        "selector": {"matchLabels": names.selector(release.app, service.name)},
        "revisionHistoryLimit": HISTORY,
        "template": template,
    }
    if containers.keeps_data(service):
        kind = "StatefulSet"
        spec |= {"serviceName": service.name, "podManagementPolicy": "Parallel"}
    else:
        kind = "Deployment"
        spec["strategy"] = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": service.name}, "spec": spec}


def _around_service(release: Release, service: ReleaseService, cluster: Cluster) -> Iterator[Object]:
    if service.ports:
        doors = {door.name: [door.bind, door.host_port] for door in service.doors}
        body: Json = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": service.name},
            "spec": {
                "type": "ClusterIP",
                "selector": names.selector(release.app, service.name),
                "ports": [
                    {"name": name, "port": port, "targetPort": port, "protocol": "TCP"}
                    for name, port in _by_port(service)
                ],
            },
        }
        extra = {ownership.DOORS: ownership.canonical(doors)} if doors else None
        yield _plain(release, service.resource, service.name, body, extra)
    if scales(service, cluster):
        yield _plain(release, service.resource, service.name, _autoscaler(service))
    for door in service.doors:
        if door.host is not None and door.scheme in ("http", "https"):
            yield _plain(release, service.resource, service.name, _ingress(service, door, door.host, cluster))


def _by_port(service: ReleaseService) -> list[tuple[str, int]]:
    """One name for each port: two endpoints may share one."""
    first: dict[int, str] = {}
    for name, port in sorted(service.ports):
        first.setdefault(port, name)
    return [(name, port) for port, name in sorted(first.items())]


def _autoscaler(service: ReleaseService) -> Json:
    """The target is a share of the ceiling `cpus`, not of the request, which is less."""
    average = (service.resources.cpus or 0) * (service.scale_cpu or 0) / 100
    target = {"type": "AverageValue", "averageValue": containers.millicpus(average)}
    kind = "StatefulSet" if containers.keeps_data(service) else "Deployment"
    return {
        "apiVersion": "autoscaling/v2",
        "kind": AUTOSCALER,
        "metadata": {"name": service.name},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": kind, "name": service.name},
            "minReplicas": service.min_instances,
            "maxReplicas": service.max_instances,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        },
    }


def _ingress(service: ReleaseService, door: ReleaseDoor, host: str, cluster: Cluster) -> Json:
    backend = {"service": {"name": service.name, "port": {"number": door.port}}}
    rule = {"host": host, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
    spec: Json = {"rules": [rule]}
    if cluster.ingress_class is not None:
        spec["ingressClassName"] = cluster.ingress_class
    if door.tls is not None:
        spec["tls"] = [{"hosts": [host], "secretName": door.tls}]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": door.name},
        "spec": spec,
    }


def is_cron(job: ReleaseJob) -> bool:
    return job.run not in ("manual", "install", "upgrade")


def _job(job: ReleaseJob, template: Json, cluster: Cluster) -> Json:
    """Each worker is tried again so often, as on Docker, and the first that has failed for good ends all."""
    spec: Json = {"template": _ending(job, template)}
    if job.ranked and facts.PER_INDEX in cluster.features:
        spec |= {"backoffLimitPerIndex": job.retries, "maxFailedIndexes": 0}
    else:
        spec["backoffLimit"] = job.retries
    if job.ranked:
        spec |= {"completionMode": "Indexed", "completions": job.max_workers, "parallelism": job.max_workers}
    if job.timeout_s is not None:
        spec["activeDeadlineSeconds"] = containers.whole_s(job.timeout_s)
    if not is_cron(job):
        return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": job.name}, "spec": spec}
    metadata = {key: template["metadata"][key] for key in ("labels", "annotations")}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": job.name},
        "spec": {
            "schedule": job.run,
            "timeZone": "Etc/UTC",
            "concurrencyPolicy": "Forbid",
            "jobTemplate": {"metadata": metadata, "spec": spec},
        },
    }


def once(cron: Json) -> Json:
    """The Job that a CronJob of ours would make, to run it by hand."""
    body = cron["spec"]["jobTemplate"]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {**cron["metadata"], "annotations": cron["metadata"]["annotations"]},
        "spec": body["spec"],
    }


def _ending(job: ReleaseJob, template: Json) -> Json:
    """A failed try stays, with its log; the next one is another pod."""
    pod = {**template["spec"], "restartPolicy": "Never"}
    if job.ranked:
        pod["subdomain"] = job.name
    return {**template, "spec": pod}


def _around_job(release: Release, job: ReleaseJob) -> Iterator[Object]:
    """Workers find each other, ready or not, as NAME-0.NAME …"""
    if job.ranked:
        body: Json = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": job.name},
            "spec": {
                "clusterIP": "None",
                "publishNotReadyAddresses": True,
                "selector": names.selector(release.app, job.name),
                "ports": [{"name": "master", "port": MASTER_PORT, "protocol": "TCP"}],
            },
        }
        yield _plain(release, job.resource, job.name, body)
