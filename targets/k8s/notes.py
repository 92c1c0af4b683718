"""What a cluster answers to features it honours otherwise than asked, or not at all. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from bundler.model.observed import UNKNOWN_PLATFORM, Observed
from bundler.model.plan import Note, Verdict
from bundler.model.release import Release, ReleaseDoor, ReleaseJob, ReleaseService, Workload
from targets.k8s import claims, containers, files, names, objects, pods, pulling, weights
from targets.k8s import cluster as facts
from targets.k8s.cluster import Cluster, Level
from targets.k8s.objects import Made, Object
from targets.k8s.security import is_root
from targets.k8s.seeds import seeds

REVISION_DIGITS = 11  # a StatefulSet's pods are labelled with NAME-HASH, the hash of 10 digits at most
TIME_DIGITS = 11  # a CronJob's Jobs are NAME-MINUTES
SHOW_NODES = (
    "an administrator lets them be seen: kubectl create clusterrole see-nodes --verb=list --resource=nodes, and a "
    "clusterrolebinding"
)
IMAGE_VOLUMES = "image volumes come with Kubernetes 1.35 and containerd 2.1"


def notes(
    release: Release,
    observed: Observed,
    cluster: Cluster,
    made: tuple[Made, ...],
    wanted: Iterable[Object],
    *,
    given: bool,
) -> tuple[Note, ...]:
    """Sorted by resource. `given`: the person who deploys gives credentials to pull with."""
    found = [
        *_namespace(cluster, made),
        *_images(release, observed, cluster),
        *_platforms(release, observed),
        *_pull_secret(release, observed, cluster, given=given),
        *_volumes(release, cluster),
        *_foreign(observed, {one.id for one in wanted}),
    ]
    for workload in release.workloads:
        found += _workload(release, workload, cluster)
        known = {pods.GPU_CLASS, pods.PRIORITY}
        unknown = sorted(release.placed(workload).keys() - known)
        found += [
            Note(
                workload.resource,
                f"placement {word}",
                Verdict.REFUSED,
                f"unknown here; known: {', '.join(sorted(known))}",
            )
            for word in unknown
        ]
    for workload in release.workloads:
        if workload.tmpfs:
            reason = "what is in it stays when a program ends and is started again; it goes with the pod"
            found.append(Note(workload.resource, "tmpfs", Verdict.ADAPTED, reason))
    for service in release.services:
        found += _service(service, observed, cluster)
    for job in release.jobs:
        if job.retries and job.max_workers > 1 and facts.PER_INDEX not in cluster.features:
            reason = f"{job.retries} for all workers together; each has its own with Kubernetes 1.29"
            found.append(Note(job.resource, "retries", Verdict.ADAPTED, reason))
    for each in made:
        found += _name(each)
    return tuple(sorted(found, key=lambda note: (note.resource, note.feature, note.reason)))


def weakest(made: Iterable[Made]) -> Level:
    """The level that the namespace enforces: what every workload can run under."""
    return max((one.level for one in made), key=lambda level: level.weakness, default=Level.RESTRICTED)


def _namespace(cluster: Cluster, made: tuple[Made, ...]) -> Iterator[Note]:
    where, needs = f"namespace/{cluster.namespace}", weakest(made)
    yield Note(where, "isolation", Verdict.ADAPTED, "other pods of the cluster reach its pods by address")
    confined = [one.workload.resource for one in made if not is_root(one.workload.user)]
    if confined:
        which = "no program" if len(confined) == len(made) else f"no program of {', '.join(confined)}"
        yield Note(where, "privileges", Verdict.ADAPTED, f"{which} gains any from a set-uid file")
    if facts.ENDING in cluster.features:
        yield Note(where, "name", Verdict.REFUSED, "it is being deleted; wait until it is gone, or choose another")
    if facts.NAMESPACE in cluster.features and facts.OWN_NAMESPACE not in cluster.features:
        enforced = cluster.enforced
        if enforced is not None and enforced.weakness < needs.weakness:
            which = ", ".join(one.workload.resource for one in made if one.level.weakness > enforced.weakness)
            reason = f"it enforces {enforced}, and {which} needs {needs}"
            yield Note(where, "pod security", Verdict.REFUSED, reason)
    elif needs is not Level.RESTRICTED:
        which = ", ".join(one.workload.resource for one in made if one.level is needs)
        why = "runs as root or asks for capabilities" if needs is Level.BASELINE else "asks for capabilities"
        yield Note(where, "pod security", Verdict.ADAPTED, f"enforces {needs}, because {which} {why}")


def _images(release: Release, observed: Observed, cluster: Cluster) -> Iterator[Note]:
    for thing in facts.needed(release):
        if thing.reference not in cluster.images:
            has = ", ".join(str(one.platform) for one in thing.platforms)
            reason = f"no {observed.host.platform} in it, only {has}"
            yield Note(f"image/{thing.name}", "platform", Verdict.REFUSED, reason)


def _platforms(release: Release, observed: Observed) -> Iterator[Note]:
    if UNKNOWN_PLATFORM in observed.host.features:
        several = {str(part.platform) for image in release.images for part in image.platforms}
        if len(several) > 1:
            reason = f"this user may not list nodes; everything is for {observed.host.platform} of {_listed(several)}"
            yield Note("nodes", "platform", Verdict.ADAPTED, f"{reason}; {SHOW_NODES}")
    others = facts.all_told(observed.host.features, facts.ALSO)
    if others:
        reason = f"everything runs on those of {observed.host.platform}; there are some of {', '.join(others)} too"
        yield Note("nodes", "platform", Verdict.ADAPTED, reason)


def _listed(words: Iterable[str]) -> str:
    return ", ".join(sorted(words))


def _pull_secret(release: Release, observed: Observed, cluster: Cluster, *, given: bool) -> Iterator[Note]:
    name = cluster.pull_secret
    if name is None or given or any(thing.name == f"Secret/{name}" for thing in observed.things):
        return
    if name == names.pull_secret(release.app):
        reason = f"{pulling.OPTION} FILE gives it again; --pull-secret '' does without"
        yield Note(
            "pull-secret", "credentials", Verdict.REFUSED, f"Secret {name} for {cluster.registry} is gone; {reason}"
        )
        return
    reason = f"Secret {name} is not in namespace {cluster.namespace}; pods that need it start once it is"
    yield Note("pull-secret", "credentials", Verdict.ADAPTED, reason)


def _volumes(release: Release, cluster: Cluster) -> Iterator[Note]:
    seeded = seeds(release, cluster)
    for volume in release.volumes:
        resource = f"volume/{volume.name}"
        there = cluster.claims.get(volume.name)
        if there is not None:
            yield from claims.differences(release, volume, there, cluster.growing)
        else:
            yield from _storage(volume.name, dict(release.storage).get(volume.name), cluster)
        if holders := facts.all_told(cluster.features, f"{facts.HOLDS}{volume.name} "):
            reason = f"it is being removed for good, and held by {', '.join(holders)}: save what is needed of its data"
            end = f"kubectl delete pod {' '.join(holders)} -n {cluster.namespace}"
            yield Note(resource, "removal", Verdict.REFUSED, f"{reason}, {end}, then run the same command again")
        if volume.size_bytes is None:
            yield Note(resource, "size", Verdict.ADAPTED, "1 GiB, because the graph gives none")
        if volume.name in seeded and seeded[volume.name].shared and not seeded[volume.name].anywhere:
            reason = "what mounts it runs on one node, because it is ReadWriteOnce"
            yield Note(resource, "sharing", Verdict.ADAPTED, reason)


def _storage(volume: str, given: str | None, cluster: Cluster) -> Iterator[Note]:
    """A class that the cluster has, or its default; who may not list them is believed."""
    classes = facts.all_told(cluster.features, facts.STORES)
    known = bool(classes) or facts.STORAGE not in cluster.features
    there = f"it has {', '.join(classes)}" if classes else "it has none at all"
    choice = f"site file: storage: {{{volume}: {{class: {classes[0] if classes else '…'}}}}}"
    if given is None and facts.STORAGE not in cluster.features:
        reason = f"the cluster has no default StorageClass, {there}; {choice}"
        yield Note(f"volume/{volume}", "storage", Verdict.REFUSED, reason)
    elif given is not None and known and given not in classes:
        reason = f"the cluster has no StorageClass {given!r}, {there}; {choice}"
        yield Note(f"volume/{volume}", "storage", Verdict.REFUSED, reason)


def _foreign(observed: Observed, wanted: set[str]) -> Iterator[Note]:
    """Names that this release needs and something else has."""
    for thing in observed.things:
        if thing.foreign and thing.name in wanted:
            whose = f"belongs to {thing.owner}" if thing.owner else "is there and not this app's"
            reason = f"{thing.name} {whose}; choose another --namespace"
            yield Note(thing.resource, "name", Verdict.REFUSED, reason)


def _workload(release: Release, workload: Workload, cluster: Cluster) -> Iterator[Note]:
    resource = workload.resource
    for file in workload.files:
        if files.size_bytes(file) > files.LIMIT_BYTES:
            limit = f"{files.size_bytes(file):,} bytes; a ConfigMap or Secret holds {files.LIMIT_BYTES:,} at most"
            yield Note(resource, f"file {file.path}", Verdict.REFUSED, limit)
    yield from _rounded(workload)
    if weights.copied(workload, cluster):
        yield from _models(release, workload)
    if workload.entrypoint is None and workload.command == ():
        reason = "the image's own arguments cannot be left out; give an entrypoint"
        yield Note(resource, "command", Verdict.REFUSED, reason)
    if any(files.in_arguments(workload)):
        reason = "what it holds of secrets is in the environment too, as BUNDLE_SECRET_…"
        yield Note(resource, "command", Verdict.ADAPTED, reason)
    if workload.stop_signal is not None:
        yield Note(resource, "stop_signal", Verdict.ADAPTED, "the signal is the one that its image names, or SIGTERM")
    if workload.init:
        yield Note(resource, "init", Verdict.ADAPTED, "the pod's pause program is process 1 and reaps")
    gpus = workload.resources.gpus
    if gpus is not None and gpus.count and facts.NVIDIA not in cluster.features:
        if gpus.required:
            reason = f"needs {gpus.count}, and no node offers nvidia.com/gpu"
            yield Note(resource, "gpus", Verdict.REFUSED, reason)
        elif facts.HIDDEN_NODES in cluster.features:
            reason = f"runs without; this user may not see whether a node offers nvidia.com/gpu; {SHOW_NODES}"
            yield Note(resource, "gpus", Verdict.ADAPTED, reason)
        else:
            yield Note(resource, "gpus", Verdict.ADAPTED, "runs without; no node offers nvidia.com/gpu")


def _models(release: Release, workload: Workload) -> Iterator[Note]:
    reasons = [weights.uncopyable(release.model(name)) for name in weights.models(workload)]
    for reason in reasons:
        if reason is not None:
            yield Note(workload.resource, "models", Verdict.REFUSED, f"{reason}; {IMAGE_VOLUMES}")
    if not any(reasons):
        mib = math.ceil(weights.size_bytes(release, workload) / (1 << 20))
        reason = f"copied into each pod at its start ({mib:,} MiB); {IMAGE_VOLUMES}"
        yield Note(workload.resource, "models", Verdict.ADAPTED, reason)


def _service(service: ReleaseService, observed: Observed, cluster: Cluster) -> Iterator[Note]:
    resource = service.resource
    if service.max_instances > service.min_instances and not objects.scales(service, cluster):
        lacks = "the cluster measures no load (metrics.k8s.io)" if service.scale_cpu else "nothing says when to scale"
        yield Note(resource, "scale", Verdict.ADAPTED, f"fixed at {service.min_instances}; {lacks}")
    elif objects.scales(service, cluster) and facts.SILENT_METRICS in cluster.features:
        silent = "does not scale until the cluster measures load again (metrics.k8s.io does not answer now)"
        yield Note(resource, "scale", Verdict.ADAPTED, silent)
    for door in service.doors:
        feature = f"publish {door.name}"
        if door.host is None or door.scheme not in ("http", "https"):
            yield Note(resource, feature, Verdict.ADAPTED, "`bundle open` forwards it; no host name is given")
        elif not cluster.features & {facts.INGRESS, facts.HIDDEN_INGRESS}:
            yield from _unserved(resource, feature, door, cluster)
        if door.host is not None and door.scheme == "https":
            reason = "an Ingress speaks plain HTTP to it, unless its controller is told otherwise by an annotation"
            yield Note(resource, f"{feature} https", Verdict.ADAPTED, reason)
        if door.tls is not None and door.host is not None and not names.is_name(door.tls):
            reason = f"{door.tls!r} cannot name a Secret; site file: publish: {{{door.name}: {{tls: NAME}}}}"
            yield Note(resource, f"{feature} tls", Verdict.REFUSED, reason)
        elif door.tls is not None and door.host is not None and _lacks_secret(observed, cluster, door.tls):
            reason = f"Secret {door.tls} is not in namespace {cluster.namespace}; its certificate is served once it is"
            yield Note(resource, f"{feature} tls", Verdict.ADAPTED, reason)


def _lacks_secret(observed: Observed, cluster: Cluster, name: str) -> bool:
    """As far as the user may see; where nothing serves an Ingress, nothing serves a certificate."""
    served = cluster.features & {facts.INGRESS, facts.HIDDEN_INGRESS} or facts.told(cluster.features, facts.SERVES)
    return bool(served) and not observed.hidden and all(thing.name != f"Secret/{name}" for thing in observed.things)


def _rounded(workload: Workload) -> Iterator[Note]:
    """Times that a cluster counts in whole seconds."""
    times: dict[str, float | None] = {"stop_grace_period": workload.stop_grace_period_s}
    if isinstance(workload, ReleaseJob):
        times["timeout"] = workload.timeout_s
    else:
        checks = {"healthcheck": workload.healthcheck, "liveness": workload.liveness}
        for what, check in checks.items():
            if check is not None:
                times |= {f"{what} interval": check.interval_s, f"{what} timeout": check.timeout_s}
    for what, seconds in times.items():
        if seconds and seconds != containers.whole_s(seconds):
            reason = f"{containers.whole_s(seconds)} s, not {seconds:g} s, because a cluster counts in whole seconds"
            yield Note(workload.resource, what, Verdict.ADAPTED, reason)


def _unserved(resource: str, feature: str, door: ReleaseDoor, cluster: Cluster) -> Iterator[Note]:
    """An Ingress that names no class is nobody's where none is the default. The field is not ours: it stays."""
    classes = facts.all_told(cluster.features, facts.SERVES)
    if not classes:
        yield Note(resource, feature, Verdict.ADAPTED, "the cluster has no IngressClass to serve its Ingress")
    elif cluster.ingress_class is None:
        patch = (
            f"""kubectl patch ingress {door.name} -n {cluster.namespace} -p '{{"spec":{{"ingressClassName":"…"}}}}'"""
        )
        reason = f"of the IngressClasses {', '.join(classes)} none is the default; once it is there, choose: {patch}"
        yield Note(resource, feature, Verdict.ADAPTED, reason)


def _name(made: Made) -> Iterator[Note]:
    """Of what the cluster makes longer names that must be labels too."""
    workload, limit = made.workload, names.LABEL_LIMIT
    what = "that of a service that keeps data"
    if made.main.kind == "StatefulSet":
        limit -= REVISION_DIGITS
    if isinstance(workload, ReleaseJob):
        what = "a cron job's" if objects.is_cron(workload) else f"a job's with {workload.max_workers} workers"
        limit -= TIME_DIGITS if objects.is_cron(workload) else 0
        limit -= names.rank_length(workload)
    if len(workload.name) > limit:
        reason = f"{what} has {limit} characters at most, this one has {len(workload.name)}"
        yield Note(workload.resource, "name", Verdict.REFUSED, reason)


def unreached(reference: str) -> Note:
    """An image that no node has and nobody was told how to bring."""
    reason = (
        f"no node is known to have {reference.rpartition('@')[0]}; on the node, --containerd SOCKET (or "
        "CONTAINERD_ADDRESS) imports it, --containerd docker://CONTAINER into a node that is a container; from "
        "anywhere, --registry HOST/PATH pushes it to where the nodes pull from"
    )
    return Note("images", "delivery", Verdict.REFUSED, reason)


def unasked(feature: str, fault: str) -> Note:
    """A containerd that has to be asked, and does not answer."""
    return Note("images", feature, Verdict.REFUSED, fault)


def not_every_node(nodes: int, given: tuple[str, ...], reached: tuple[str, ...], *, lacks: bool) -> Note:
    """Fewer containerds are `reached` than there are nodes; `lacks`: and there is something to bring."""
    again = [socket for socket in given if socket not in reached]
    twice = f" ({', '.join(again)} leads to one of these)" if again else ""
    reason = (
        f"pods come to {nodes} nodes, and an import reaches {len(reached)}: {', '.join(reached)}{twice}; give "
        "--containerd SOCKET once for each node (or CONTAINERD_ADDRESS=SOCKET,SOCKET), or --registry HOST/PATH"
    )
    return Note("images", "delivery", Verdict.REFUSED if lacks else Verdict.ADAPTED, reason)


def unseen_nodes(reached: int) -> Note:
    reason = f"this user may not list nodes; an import reaches {reached}, and pods wait on any other; {SHOW_NODES}"
    return Note("images", "delivery", Verdict.ADAPTED, reason)


def left_on_nodes(nodes: int, reached: int) -> Note:
    reason = f"imported ones stay on nodes that --containerd SOCKET does not name; it names {reached} of {nodes}"
    return Note("images", "removal", Verdict.ADAPTED, reason)


def left_in_registry(registry: str) -> Note:
    return Note("images", "removal", Verdict.ADAPTED, f"pushed ones stay in {registry}, where other apps may use them")


def not_containerd(runtime: str) -> Note:
    reason = (
        f"a node runs its containers with {runtime}, and an import goes into containerd; use --registry HOST/PATH "
        "(minikube: minikube start --container-runtime=containerd)"
    )
    return Note("images", "delivery", Verdict.REFUSED, reason)
