"""The sample release on a cluster that is not there: what is planned and made for it, and what would be seen of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import yaml
from engine_sample import Fixed
from images import AMD64, model

from bundler.model.graph import Gpus, Healthcheck, Mount, Resources, Volume
from bundler.model.observed import Host, Instance, Observed, State, Thing
from bundler.model.plan import Plan
from bundler.model.release import Release, ReleaseDoor
from targets.k8s import cluster as facts
from targets.k8s import names, objects
from targets.k8s.cluster import Cluster, Settings
from targets.k8s.instances import instances
from targets.k8s.objects import Made
from targets.k8s.target import KubernetesTarget
from targets.sample import job, sample, service, with_service

FEATURES = frozenset({facts.IMAGE_VOLUMES, facts.SLEEP, facts.STORAGE})
ALL = FEATURES | {facts.METRICS, facts.INGRESS, facts.NVIDIA}
SOCKET = "/run/containerd.sock"
SETTINGS = Settings(sockets=(SOCKET,))
VERSIONS = ("1.35", "1.36", "1.37")
Json = dict[str, Any]


def host(features: frozenset[str] = FEATURES) -> Host:
    return Host(AMD64, "kubernetes", "1.36", features)


def nothing(features: frozenset[str] = FEATURES) -> Observed:
    return Observed("sample", host(features))


def released(**web: object) -> Release:
    release = sample(Fixed())  # type: ignore[arg-type]  # the rest of a subject is not used
    return with_service(release, "web", **web) if web else release


def plan(release: Release | None, observed: Observed | None = None, settings: Settings = SETTINGS) -> Plan:
    return KubernetesTarget(settings).plan(release, observed or nothing())


def made(release: Release, features: frozenset[str] = FEATURES) -> Mapping[str, Made]:
    observed = nothing(features)
    cluster = Cluster.of(release, observed, SETTINGS)
    return {each.workload.name: each for each in objects.workloads(release, observed.host, cluster)}


def pod(release: Release, name: str, features: frozenset[str] = FEATURES) -> Json:
    body = made(release, features)[name].main.body
    found: Json = body["spec"]["template"]["spec"]
    return found


def container(release: Release, name: str, features: frozenset[str] = FEATURES) -> Json:
    found: Json = pod(release, name, features)["containers"][0]
    return found


def in_place(release: Release, settings: Settings = SETTINGS) -> Observed:
    """What a cluster shows when everything of the release is there."""
    cluster = Cluster.of(release, nothing(), settings)
    wanted = [*objects.volumes(release, cluster), *objects.pull_secret(release, cluster)]
    for each in objects.workloads(release, host(), cluster):
        wanted += each.files
        wanted += each.running if each.workload.resource.startswith("service/") else ()
    things = [Thing(one.resource, one.id, one.spec) for one in wanted]
    things += [Thing("secrets", "Secret/sample-secrets", "1")]
    things += [Thing(f"image/{one.name}", one.reference, SOCKET) for one in cluster.images.values()]
    things += [Thing("image/helper", cluster.helper.reference, SOCKET)]
    features = FEATURES | {facts.NAMESPACE, facts.OWN_NAMESPACE, facts.ENFORCES + "baseline"}
    return Observed("sample", host(features), things=tuple(things))


def full() -> Release:
    """Every feature that has a form of its own in a manifest."""
    fixed = Fixed()
    weights = model(fixed.blobs, "words", {"words.txt": b"a\n"})
    door = ReleaseDoor("front", "web", 8000, "http", "127.0.0.1", 8080, host="web.example")
    web = service(
        "web",
        doors=(door,),
        models=(Mount("words", "/models"),),
        volumes=(Mount("data", "/data", read_only=True),),
        resources=Resources(1, 64 << 20, 8 << 20, Gpus(1)),
        min_instances=1,
        max_instances=3,
        scale_cpu=50,
        user="1000:1000",
        cap_add=("NET_BIND_SERVICE",),
        init=True,
        working_dir="/",
        liveness=Healthcheck(None, True, None, None),
    )
    jobs = (
        job(
            "train", "0", run="manual", due=False, min_workers=1, max_workers=3, ranked=True, timeout_s=60.0, retries=2
        ),
        job("nightly", "0", run="0 3 * * *", due=False),
        job("first", "0"),
    )
    base = sample(fixed)  # type: ignore[arg-type]  # the rest of a subject is not used
    return replace(
        base,
        services=(*(one for one in base.services if one.name == "store"), web),
        jobs=jobs,
        models=(weights,),
        volumes=(Volume("data", 1 << 20),),
        doors=(door,),
        waves=(("store",), ("web",), ("first",)),
    )


def documents(release: Release) -> list[Json]:
    (rendered,) = KubernetesTarget(SETTINGS).render(release, Fixed().blobs).values()
    return list(yaml.safe_load_all(rendered))


def owner(spec: str = "s2", replicas: int = 1) -> Json:
    annotations = {"dev.graphbundle.resource": "service/web", "dev.graphbundle.spec": spec}
    labels = names.labels("sample", "web")
    return {
        "metadata": {"uid": "u", "name": "web", "labels": labels, "annotations": annotations},
        "spec": {"replicas": replicas, "template": {"metadata": {"annotations": annotations}}},
    }


def running(spec: str, *, ready: bool = True, name: str = "web-1") -> Json:
    return {
        "metadata": {
            "uid": name,
            "name": name,
            "labels": names.labels("sample", "web"),
            "annotations": {"dev.graphbundle.spec": spec},
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {"containers": [{"name": "web", "readinessProbe": {}}]},
        "status": {
            "phase": "Running",
            "containerStatuses": [
                {"name": "web", "ready": ready, "started": True, "state": {"running": {"startedAt": "now"}}}
            ],
        },
    }


def states(pods_there: list[Json], found: Json | None = None) -> list[State]:
    seen: tuple[Instance, ...] = instances({"Deployment": [found or owner()]}, pods_there, {}, "sample")
    return [one.state for one in seen]
